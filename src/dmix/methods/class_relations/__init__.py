"""Estimators of the relation of source and target classes."""
