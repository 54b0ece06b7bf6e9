"""What semi-supervised methods are made of: targets, thresholds, ramps, interleaving. Pure functions."""
