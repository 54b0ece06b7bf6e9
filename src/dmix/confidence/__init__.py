"""Confidence of finished networks: calibration on test images, and pseudo-labels of unlabelled images."""
