"""What test images go through before normalisation."""
