"""Data sets on disk and in memory: formats, the data that ships, augmentation, loading."""
