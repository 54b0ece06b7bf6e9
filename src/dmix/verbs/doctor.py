"""`dmix doctor`: shows what this machine has and lacks."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dmix.errors import DmixError
from dmix.grid.paths import DATA, RESULTS, WORK

if TYPE_CHECKING:
    from dmix.doctor.finding import Finding


def run(options: argparse.Namespace) -> int:
    """Show what this machine has and lacks, or what is wrong with the objects that DVC keeps."""
    if options.repair and options.store is None:
        raise DmixError("--repair is for what DVC keeps", "run: dmix doctor --store --repair")
    from dmix.doctor.finding import as_text

    found = _machine() if options.store is None else _store(options.store, options.repair)
    if options.json:
        print(json.dumps({"findings": [dataclasses.asdict(each) for each in found]}))
    else:
        print(as_text(found))
    return int(any(each.state == "broken" for each in found))


def _machine() -> Sequence[Finding]:
    from dmix.doctor.machine import machine
    from dmix.doctor.store import store

    return [*machine((DATA, RESULTS, WORK)), *store(DATA)]


def _store(targets: Sequence[str], wanted: bool) -> Sequence[Finding]:
    from dmix.doctor.kept import opened
    from dmix.doctor.objects import findings
    from dmix.doctor.repair import repair

    repaired: list[Finding] = []
    if wanted:
        with opened(targets) as kept:
            repaired = list(repair(kept))
    with opened(targets) as kept:
        return [*repaired, *findings(kept)]
