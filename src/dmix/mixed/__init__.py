"""Accuracy of finished runs on mixed test images (the paper, Figures 2 and 6); docs/mixed.md defines it."""
