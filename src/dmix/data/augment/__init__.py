"""Augmentations: of batches on the device, drawn for a whole epoch at once, or of one image at a time."""
