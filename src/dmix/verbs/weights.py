"""`dmix weights`: exports the network of a finished run for others."""

from __future__ import annotations

import argparse

from dmix.verbs.common import finished_files


def run(options: argparse.Namespace) -> int:
    """Write the network of one run in the form of a library."""
    files = finished_files(options.tier, options.name)
    from dmix.weights.export import export

    return export(files, options.to, options.out, options.tier)
