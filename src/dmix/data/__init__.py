"""Data sets: formats, embedded editions, downloads, labels, augmentation, test-time transforms, loading."""
