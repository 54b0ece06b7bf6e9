"""Augmentations: of batches on the device, for images in memory, or of one image on disk at a time."""
