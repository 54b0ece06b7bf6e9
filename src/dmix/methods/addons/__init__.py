"""Labelled rows mixed with each other and with unlabelled ones: what "+Mixup" and "+DM" add to a method."""
