"""Comparison of a sample's mean with an expectation."""

from __future__ import annotations

import math

import numpy as np


def assert_mean(sample, expected, rounding=0.0):
    """The mean lies within five Monte-Carlo standard errors of `expected`, given to +-`rounding`."""
    sample = np.asarray(sample, dtype=np.float64)
    error = 5 * sample.std() / math.sqrt(len(sample))
    # An event that never occurred has no spread; its rate is still below 10 / n at this confidence.
    assert abs(sample.mean() - expected) <= max(error, 10 / len(sample)) + rounding
