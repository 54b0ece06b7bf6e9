"""Exports the networks of finished runs in forms that torchvision, timm and plain torch load."""
