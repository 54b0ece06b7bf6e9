"""Loaders: from the images of a split to the batches of a run."""
