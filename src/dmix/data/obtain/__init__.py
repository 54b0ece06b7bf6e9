"""Getting genuine data sets and pretrained weights: download, check, unpack, load once, install."""
