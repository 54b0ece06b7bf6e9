"""`dmix join`: brings finished runs of other checkouts, bundles and DVC repositories into this one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dmix.grid.expand import load_grid
from dmix.verbs.common import tell

if TYPE_CHECKING:
    from dmix.join.join import Joined

SHOWN = 3


def run(options: argparse.Namespace) -> int:
    """Join each source; return 1 if something was refused, or differs from what is here."""
    grid = load_grid(options.tier)
    from dmix.join.join import join
    from dmix.join.outcome import Options
    from dmix.join.source import opened

    wrong = 0
    for name in options.sources:
        with opened(name, grid.tier, options.rev) as source:
            found = join(grid, source, Options(not options.no_weights, options.dry_run), tell)
        _show(name, found, options)
        wrong += len(found.refused) + len(found.differing)
    return int(wrong > 0)


def _show(name: str, found: Joined, options: argparse.Namespace) -> None:
    for what, why in found.refused.items():
        tell(f"refused {what}: {why}")
    for what, why in found.differing.items():
        tell(f"differs {what}: {why}; what is here stays")
    if found.left:
        some = ", ".join(found.left[:SHOWN]) + (", ..." if len(found.left) > SHOWN else "")
        tell(f"left {len(found.left)} runs of other settings or code than this checkout's: {some}")
    counts = {
        "would be taken" if options.dry_run else "taken": found.taken,
        "got weights": found.weights,
        "here before": found.there,
        "refused": found.refused,
        "differing": found.differing,
    }
    told = ", ".join(f"{len(those)} {what}" for what, those in counts.items() if those)
    tell(f"{name}: {told or f'nothing of tier {options.tier} that is asked for here'}")
