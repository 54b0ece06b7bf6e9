"""Mixup policies, one file each."""
