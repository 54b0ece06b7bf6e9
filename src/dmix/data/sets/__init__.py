"""Loaders of data sets, one part each, and the file formats they read."""
