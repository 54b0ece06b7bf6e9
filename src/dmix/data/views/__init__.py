"""Test-time transforms of images."""
