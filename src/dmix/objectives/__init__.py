"""Objectives on mixed samples: pure functions."""
