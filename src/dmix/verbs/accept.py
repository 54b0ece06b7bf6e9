"""`dmix accept`: proves that edited code changes no number."""

from __future__ import annotations

import argparse

from dmix.verbs.common import tell


def run(options: argparse.Namespace) -> int:
    """Prove that edited code changes no number."""
    from dmix.accept.accept import accept as show_equal

    return show_equal(options.since, options.because, options.tier, tell)
