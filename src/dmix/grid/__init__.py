"""Resolves the parameter files into runs, without importing torch."""
