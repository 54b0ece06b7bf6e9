"""`dmix plan`: prints what would train."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections import Counter

from dmix.grid.expand import load_grid
from dmix.grid.plan import make_plan


def run(options: argparse.Namespace) -> int:
    """Print what would train, by table."""
    grid = load_grid(options.tier)
    found = make_plan(grid)
    if options.json:
        listed = [dataclasses.asdict(line) for line in found.lines]
        print(json.dumps({"tier": grid.tier, "tables": listed, "blocked": found.blocked}))
        return 0
    print(f"tier {grid.tier}: {grid.params.tiers[grid.tier].title}")
    headings = ("runs", "done", "to train", "blocked", "hours")
    print("table".ljust(10) + "".join(f"{heading:>10}" for heading in headings) + "   not yet implemented")
    for line in found.lines:
        counts = (line.runs, line.done, line.to_train, line.blocked, f"{line.hours:,.1f}")
        unbuilt = f"{line.unimplemented} runs" if line.unimplemented else "none"
        print(line.table.ljust(10) + "".join(f"{count:>10}" for count in counts) + f"   {unbuilt}")
    print("hours of one device: measured on this tier where it has run, else estimated")
    print("a run that two tables share is counted in both, and once in all")
    for way_out, runs in found.blocked.most_common():
        print(f"{runs} blocked: {way_out}")
    missing = sorted({part for name in grid.runs for part in grid.missing(name)})
    if missing:
        print(f"not yet implemented: {', '.join(missing)}")
    reasons = found.reasons(grid)
    if options.why:
        for because, count in found.accepted(grid).items():
            print(f"  {count} done by older code that dmix accept has shown to be equal: {because}")
        for name, reason in reasons.items():
            print(f"  {name}: {reason}")
    else:
        for reason, count in Counter(reasons.values()).most_common():
            print(f"  {count} to train: {reason}")
    return 0
