"""Add-ons: labelled rows mixed with each other and with unlabelled ones, beside the losses of a method."""
