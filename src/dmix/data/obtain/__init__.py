"""Getting genuine data sets and pretrained weights: download, check, unpack, read once, put in place."""
