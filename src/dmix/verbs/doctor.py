"""`dmix doctor`: shows what this machine has and lacks."""

from __future__ import annotations

import argparse
import dataclasses
import json

from dmix.grid.paths import DATA, RESULTS, WORK


def run(options: argparse.Namespace) -> int:
    """Show what this machine has and lacks."""
    from dmix.doctor.finding import as_text
    from dmix.doctor.machine import machine
    from dmix.doctor.store import store

    found = [*machine((DATA, RESULTS, WORK)), *store(DATA)]
    if options.json:
        print(json.dumps({"findings": [dataclasses.asdict(each) for each in found]}))
    else:
        print(as_text(found))
    return int(any(each.state == "broken" for each in found))
