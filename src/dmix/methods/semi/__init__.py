"""The semi-supervised methods (the paper, section 4.3) and the functions they are built from."""
