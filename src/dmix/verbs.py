"""The verbs of the command line. Rooms are imported inside, so that no verb pays for another's imports."""

from __future__ import annotations

import argparse
import difflib
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from dmix.errors import DmixError
from dmix.grid import cost
from dmix.grid.expand import Grid, load_grid
from dmix.grid.promise import check
from dmix.grid.spec import SECTIONS
from dmix.grid.state import STATES, Standing, standing, why_stale
from dmix.job.paths import DATA, RESULTS, WORK

PAPER = Path("paper_tables")


def train(options: argparse.Namespace) -> int:
    """Train one run."""
    grid = load_grid(options.tier)
    if options.promise:
        check(grid, options.name, options.promise)
    _known(grid, options.name)
    if absent := grid.missing(options.name):
        raise DmixError(f"{options.name} is not yet implemented: it needs {', '.join(absent)}")
    from dmix.job.train import Options
    from dmix.job.train import train as run

    return run(grid, options.name, Options(options.device, options.checkpoint_seconds, options.tensorboard))


def resolve(options: argparse.Namespace) -> int:
    """Print a run's settings and their origins."""
    grid = load_grid(options.tier)
    _known(grid, options.name)
    spec = grid.runs[options.name]
    origins = grid.origins(options.name)
    print(f"{spec.name}   spec {spec.digest()}")
    print(f"folder: results/{grid.tier}/runs/{grid.folders.get(spec.name, '(not yet implemented)')}")
    for section in SECTIONS:
        for key, value in spec.settings[section].items():
            setting = origins.get((section, key))
            where = "neutral value"
            if setting is not None:
                line = grid.document.where(*setting.origin).partition(": ")[0]
                where = f"{line}{_why(grid, setting.origin)}"
            print(f"  {f'{section}.{key}':<22} {json.dumps(value):<32} {where}")
    print(f"  {'seed':<22} {spec.seed}")
    return 0


def plan(options: argparse.Namespace) -> int:
    """Print what would train, by table."""
    grid = load_grid(options.tier)
    measured = cost.measured_seconds(grid, RESULTS)
    now = time.time()
    stands = {name: standing(grid, name, RESULTS, WORK, now) for name in grid.runs}
    rows = []
    for table, definition in grid.params.tables.items():
        here = [stands[name] for name in grid.table_runs(definition)]
        counts = Counter("train" if s.state not in ("done", "not yet implemented") else s.state for s in here)
        hours = {
            kind: sum(cost.seconds(grid, s.name, measured) for s in here if s.state in kinds) / 3600
            for kind, kinds in (("left", STATES[1:5]), ("unbuilt", STATES[5:]))
        }
        rows.append((table, len(here), counts, hours))
    if options.json:
        listed = [
            {"table": table, "runs": total, **dict(counts), "hours": hours}
            for table, total, counts, hours in rows
        ]
        print(json.dumps({"tier": grid.tier, "tables": listed}))
        return 0
    print(f"tier {grid.tier}: {grid.params.tiers[grid.tier].title}")
    print(f"{'table':<10}{'runs':>6}{'done':>6}{'to train':>10}{'hours left':>12}   not yet implemented")
    for table, total, counts, hours in rows:
        unbuilt = counts["not yet implemented"]
        note = f"{unbuilt} runs, about {hours['unbuilt']:.2f} h" if unbuilt else "none"
        print(f"{table:<10}{total:>6}{counts['done']:>6}{counts['train']:>10}{hours['left']:>12.2f}   {note}")
    basis = "measured on this tier where it has run, else estimated"
    print(f"hours of one device ({basis}); a run that two tables share is counted in both")
    missing = sorted({part for name in grid.runs for part in grid.missing(name)})
    if missing:
        print(f"not yet implemented: {', '.join(missing)}")
    _print_reasons(grid, stands.values(), every=options.why)
    return 0


def status(options: argparse.Namespace) -> int:
    """Print where every run stands, by table."""
    grid = load_grid(options.tier)
    now = time.time()
    by_table = {
        table: [standing(grid, name, RESULTS, WORK, now) for name in grid.table_runs(definition)]
        for table, definition in grid.params.tables.items()
    }
    if options.json:
        tables = {
            table: {s.name: {"state": s.state, "detail": s.detail} for s in here}
            for table, here in by_table.items()
        }
        print(json.dumps({"tier": grid.tier, "tables": tables}))
        return 0
    from dmix.console import print_status

    print_status(grid.tier, by_table)
    return 0


def data(options: argparse.Namespace) -> int:
    """Write embedded editions."""
    from dmix.data.embedded import embed

    for path in embed(DATA, options.names or None):
        print(path)
    return 0


def table(options: argparse.Namespace) -> int:
    """Render one table."""
    grid = load_grid(options.tier)
    if options.name not in grid.params.tables:
        raise DmixError(f"there is no table {options.name!r}", f"choose of {', '.join(grid.params.tables)}")
    from dmix.report.build import render

    out = options.out or PAPER / grid.tier
    render(grid, options.name, RESULTS / grid.tier / "runs", out)
    print((out / f"{options.name}.txt").read_text(), end="")
    return 0


def show(options: argparse.Namespace) -> int:
    """Draw what the mixing policies make of the same pairs of images."""
    grid = load_grid(options.tier)
    from dmix.show.figure import check_format, draw, save
    from dmix.show.mixups import gallery

    target = options.out or RESULTS / grid.tier / "show" / f"mixups-{options.dataset}.png"
    check_format(target)
    found = gallery(grid, options.dataset, options.lam, RESULTS / grid.tier / "runs", DATA)
    save(draw(found), target)
    for line in found.left_out:
        print(f"left out: {line}")
    print(target)
    return 0


def collect(options: argparse.Namespace) -> int:
    """Write the tier's data frame."""
    grid = load_grid(options.tier)
    from dmix.files import write_text
    from dmix.report.frame import load_frame, to_csv

    target = options.out or RESULTS / grid.tier / "frame.csv"
    frame = load_frame(grid, tuple(grid.runs), RESULTS / grid.tier / "runs")
    write_text(target, to_csv(frame))
    print(target)
    return 0


def publish(options: argparse.Namespace) -> int:
    """Copy rendered files to their plain names."""
    from dmix.report.publish import publish as copy

    for source in options.sources:
        target = options.to / source.name
        print(f"{target}: {'new' if copy(source, target) else 'unchanged'}")
    if options.stamp:
        # One stamp per artefact: going back to earlier inputs must publish them again.
        for old in options.stamp.parent.glob(f"{options.stamp.name.rpartition('-')[0]}-????????"):
            old.unlink()
        options.stamp.parent.mkdir(parents=True, exist_ok=True)
        options.stamp.touch()
    return 0


def gc(options: argparse.Namespace) -> int:
    """List or delete run folders that nothing names."""
    grid = load_grid(options.tier)
    known = set(grid.folders.values())
    for root in (RESULTS / grid.tier / "runs", WORK / grid.tier):
        for leaf in sorted(root.glob("**/s*-????????-????????")):
            if str(leaf.relative_to(root)) not in known:
                print(f"{'deleted' if options.delete else 'unused'} {leaf}")
                if options.delete:
                    shutil.rmtree(leaf)
    return 0


def _known(grid: Grid, name: str) -> None:
    if name not in grid.runs:
        near = difflib.get_close_matches(name, grid.runs, n=1)
        hint = f"did you mean {near[0]}?" if near else "list the runs with: dmix status --json"
        raise DmixError(f"there is no run named {name!r} at tier {grid.tier}", hint)


def _why(grid: Grid, origin: tuple[str | int, ...]) -> str:
    """Return " (reason)" where an override set the value."""
    value: object = grid.document.data
    for key in origin[: origin.index("set")] if "set" in origin else ():
        value = value[key]  # type: ignore[index]
    return f"  ({value['why']})" if isinstance(value, dict) and "why" in value and "set" in origin else ""


def _print_reasons(grid: Grid, stands: Iterable[Standing], *, every: bool) -> None:
    """Print why runs would train: each run, or the number of runs by reason."""
    would = [s for s in stands if s.state in STATES[1:5]]
    reasons = {s.name: s.state if s.state != "missing" else why_stale(grid, s.name, RESULTS) for s in would}
    if every:
        for name, reason in reasons.items():
            print(f"  {name}: {reason}")
        return
    for reason, count in Counter(reasons.values()).most_common():
        print(f"  {count} to train: {reason}")
