"""Augmentations: drawn for a whole epoch at once, applied to batches on any device."""
