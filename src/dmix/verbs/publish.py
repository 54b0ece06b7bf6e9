"""`dmix publish`: copies rendered files to their plain names."""

from __future__ import annotations

import argparse


def run(options: argparse.Namespace) -> int:
    """Copy rendered files to their plain names."""
    from dmix.report.publish import publish as copy

    for source in options.sources:
        target = options.to / source.name
        print(f"{target}: {'new' if copy(source, target) else 'unchanged'}")
    if options.stamp:
        # One stamp per artefact, so that going back to earlier inputs publishes it again.
        for old in options.stamp.parent.glob(f"{options.stamp.name.rpartition('-')[0]}-????????"):
            old.unlink()
        options.stamp.parent.mkdir(parents=True, exist_ok=True)
        options.stamp.touch()
    return 0
