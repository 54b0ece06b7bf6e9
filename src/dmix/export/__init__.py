"""A bundle of a tier's results to share: what is in it, whether it is of one state, and its manifest."""
