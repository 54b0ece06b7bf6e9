"""The commands of `dmix`, one function each. Slow imports are inside the function that needs them."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import functools
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from dmix.cores import job_cores
from dmix.data_items import Item, read_sources
from dmix.errors import DmixError
from dmix.grid.damage import remembered
from dmix.grid.expand import Grid, load_grid
from dmix.grid.paths import DATA, RESULTS, WORK, runs_folder
from dmix.grid.plan import make_plan
from dmix.grid.presence import facts, own_sets
from dmix.grid.promise import check
from dmix.grid.spec import SECTIONS
from dmix.grid.status import relation_status, run_status
from dmix.job.recorded import recorded
from dmix.job.versions import noted

if TYPE_CHECKING:
    from dmix.data.sets.dataset import Dataset

PAPER = Path("paper_tables")


def train(options: argparse.Namespace) -> int:
    """Train one run."""
    with recorded(options):
        return _train(options)


def _train(options: argparse.Namespace) -> int:
    grid = load_grid(options.tier, every_tier=not options.promise)
    if options.promise:
        check(grid, options.name, options.promise)
    _known(grid, options.name)
    _ready(grid, options.name)
    noted()
    from dmix.job.options import Options
    from dmix.job.train import train as run

    how = Options(options.device, options.checkpoint_seconds, options.tensorboard, options.workers)
    return run(grid, options.name, how)


def relate(options: argparse.Namespace) -> int:
    """Learn one class relation."""
    with recorded(options):
        return _relate(options)


def _relate(options: argparse.Namespace) -> int:
    grid = load_grid(options.tier, every_tier=not options.promise)
    if options.promise:
        check(dataclasses.replace(grid, runs=grid.class_relations), options.name, options.promise)
    if options.name not in grid.class_relations:
        for name, spec in grid.runs.items():
            if spec.relation is not None and spec.relation.name == options.name:
                _ready(grid, name)
        raise DmixError(
            f"there is no class relation named {options.name!r} at tier {grid.tier}",
            f"choose of {', '.join(grid.class_relations)}"
            if grid.class_relations
            else "no run here needs one",
        )
    noted()
    from dmix.job.class_relation import relate as run
    from dmix.job.options import Options

    return run(grid, options.name, Options(options.device))


def resolve(options: argparse.Namespace) -> int:
    """Print a run's settings and their origins."""
    grid = load_grid(options.tier)
    _known(grid, options.name)
    spec = grid.runs[options.name]
    origins = grid.origins(options.name)
    print(f"{spec.name}   spec {spec.digest()}")
    absent = f"(blocked: {way_out})" if (way_out := grid.blocked(spec.name)) else "(not yet implemented)"
    print(f"folder: {runs_folder(grid.tier) / grid.folders.get(spec.name, absent)}")
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


def schema(_: argparse.Namespace) -> int:
    """Print the JSON schema of the parameter files."""
    from dmix.grid.editor_schema import as_text, editor_schema

    print(as_text(editor_schema()), end="")
    return 0


def plan(options: argparse.Namespace) -> int:
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


def status(options: argparse.Namespace) -> int:
    """Print the status of every run, by table; return 1 if a run or class relation failed."""
    grid = load_grid(options.tier)
    with remembered(runs_folder(grid.tier)) as digest:
        by_table = {
            table: [run_status(grid, name, digest) for name in grid.table_runs(definition)]
            for table, definition in grid.tables.items()
        }
    everything = {s.name: s for here in by_table.values() for s in here}
    everything |= {name: relation_status(grid, name) for name in grid.class_relations}
    failed = {name: s.failure for name, s in everything.items() if s.failure and s.state == "failed"}
    if options.json:
        tables = {
            table: {s.name: {"state": s.state, "detail": s.detail} for s in here}
            for table, here in by_table.items()
        }
        listed = {name: dataclasses.asdict(failure) for name, failure in failed.items()}
        print(json.dumps({"tier": grid.tier, "tables": tables, "failed": listed}))
    else:
        from dmix.console import print_status

        print_status(grid.tier, by_table, everything.values())
    return int(bool(failed))


def data_embed(options: argparse.Namespace) -> int:
    """Write embedded editions."""
    from dmix.data.embedded.editions import embed

    for path in embed(DATA, options.names or None):
        print(path)
    return 0


def data_fetch(options: argparse.Namespace) -> int:
    """Download data sets and weights."""
    items = _items(options.names)
    from dmix.data.obtain.fetch import fetch

    return _each(items, lambda item: fetch(item, DATA, _loader(item, "real"), _tell))


def data_import(options: argparse.Namespace) -> int:
    """Import a data set or weights from local files."""
    (item,) = _items([options.name])
    from dmix.data.obtain.import_item import import_item

    import_item(item, options.path, DATA, _loader(item, "real"), _tell)
    return 0


def data_verify(options: argparse.Namespace) -> int:
    """Decode every image of data sets, and check weights."""
    items = _items(options.names)
    from dmix.data.obtain.verify import verify, verify_files

    def check(item: Item) -> None:
        load = _loader(item, options.edition)
        if load is None:
            print(verify_files(item, DATA))
        else:
            folder = DATA / options.edition / item.path
            print(verify(item.name, folder, functools.partial(load, DATA), job_cores()))

    return _each(items, check)


def doctor(options: argparse.Namespace) -> int:
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


def table(options: argparse.Namespace) -> int:
    """Render one table."""
    grid = load_grid(options.tier)
    if options.name not in grid.params.tables:
        raise DmixError(f"there is no table {options.name!r}", f"choose of {', '.join(grid.params.tables)}")
    from dmix.report.build import render

    out = options.out or PAPER / grid.tier
    render(grid, options.name, runs_folder(grid.tier), out)
    print((out / f"{options.name}.txt").read_text(encoding="utf-8"), end="")
    return 0


def show(options: argparse.Namespace) -> int:
    """Draw the same pairs of images mixed by every policy."""
    grid = load_grid(options.tier)
    from dmix.show.figure import check_format, draw, save
    from dmix.show.mixups import gallery

    target = options.out or RESULTS / grid.tier / "show" / f"mixups-{options.dataset}.png"
    check_format(target)
    found = gallery(grid, options.dataset, options.lam, runs_folder(grid.tier), DATA)
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
    frame = load_frame(grid, tuple(grid.runs), runs_folder(grid.tier))
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
        # One stamp per artefact, so that going back to earlier inputs publishes it again.
        for old in options.stamp.parent.glob(f"{options.stamp.name.rpartition('-')[0]}-????????"):
            old.unlink()
        options.stamp.parent.mkdir(parents=True, exist_ok=True)
        options.stamp.touch()
    return 0


def accept(options: argparse.Namespace) -> int:
    """Prove that edited code changes no number."""
    from dmix.accept.accept import accept as show_equal

    return show_equal(options.since, options.because, options.tier, _tell)


def gc(options: argparse.Namespace) -> int:
    """List or delete what is in no grid, and what killed processes left."""
    from dmix.job.garbage import collect as sweep

    sweep(load_grid(options.tier), PAPER, delete=options.delete, stopped=options.stopped, tell=_tell)
    return 0


def _tell(line: str) -> None:
    """Print a line and flush, because the next one may be an hour away."""
    print(line, flush=True)


def _items(names: Iterable[str]) -> list[Item]:
    """Return the named items, each once; known are reference/datasets.csv and the section `datasets`."""
    known = dict(read_sources())
    if not known.keys() >= set(names):
        known |= own_sets(load_grid("full").params.datasets, known)
    for name in names:
        if name not in known:
            raise DmixError(f"there is no item {name!r} to get", f"choose of {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)]


def _each(items: Iterable[Item], do: Callable[[Item], None]) -> int:
    """Apply `do` to every item, also after failures; return the worst exit status."""
    status = 0
    for item in items:
        try:
            do(item)
        except DmixError as error:
            print(f"dmix: {error}", file=sys.stderr)
            status = max(status, error.exit_code)
    return status


def _loader(item: Item, edition: str) -> Callable[[Path], Dataset] | None:
    """Return a function from the folder of editions to a data set; None if `item` is no data set.

    Settings come from the parameter files, sizes of an embedded edition from its marker file.
    """
    if item.kind != "data":
        return None
    entry = load_grid("full").params.datasets.get(item.name)
    if entry is None:
        raise DmixError(f"params.yaml has no datasets.{item.name}, which has its sizes", "add the entry")
    from dmix.data.sets import marker
    from dmix.engine.parts import load_part

    values = {"use": entry.use or item.name, **facts(item.name, entry), "edition": edition}
    if edition == "embedded":
        found = marker.read(DATA / edition / item.path)
        values |= {"classes": found.classes, "train_size": found.train, "test_size": found.test}
    return functools.partial(load_part, "dataset", values)


def _known(grid: Grid, name: str) -> None:
    if name not in grid.runs:
        near = difflib.get_close_matches(name, grid.runs, n=1)
        hint = f"did you mean {near[0]}?" if near else "list the runs with: dmix status --json"
        raise DmixError(f"there is no run named {name!r} at tier {grid.tier}", hint)


def _ready(grid: Grid, name: str) -> None:
    if absent := grid.missing(name):
        raise DmixError(f"{name} is not yet implemented: it needs {', '.join(absent)}")
    if way_out := grid.blocked(name):
        raise DmixError(f"{name} is blocked: what it needs is not on this machine", way_out)


def _why(grid: Grid, origin: tuple[str | int, ...]) -> str:
    """Return "  (reason)" if an override set the value, else ""."""
    value: object = grid.document.data
    for key in origin[: origin.index("set")] if "set" in origin else ():
        value = value[key]  # type: ignore[index]
    return f"  ({value['why']})" if isinstance(value, dict) and "why" in value and "set" in origin else ""
