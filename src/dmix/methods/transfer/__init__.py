"""The transfer-learning methods (the paper, section 4.2) and the functions they are built from."""
