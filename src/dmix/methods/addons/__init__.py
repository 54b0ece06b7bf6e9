"""Add-ons: losses of mixed labelled and unlabelled rows, added to those of a two-stream method."""
