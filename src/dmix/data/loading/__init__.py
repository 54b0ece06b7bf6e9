"""From a split to the batches of a run."""
