"""Trains one run as a process: lock, signals, checkpoints, record."""
