"""How the pipeline scales with the grid: expansion, dry runs, status and plan of 1,600 and 10,000 runs.

    python benchmarks/grid_scale.py [--seeds N ...] [--repeats N] [--csv FILE]

Prints n, hardware and versions. The grid is the repository's own smoke tier, which has every cell and needs
no genuine data, with 2 seeds and with 13. Dry runs are timed with nothing finished and with a record of every
run, status and plan with these.

Beside each dry run stands its floor: Snakemake's own time for a Snakefile of one rule without a function,
with as many jobs, outputs and logs, whose outputs as many others read as tables and figures read records.
Both are CPU seconds beyond the median of those of `snakemake --version`. CPU seconds are those of a command
and of what it starts: on a machine that does other work at the same time, they are the ones to compare.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from dmix.grid.expand import Grid, load_grid
from dmix.grid.paths import HISTORY, RECORD, WEIGHTS, WORK, records_folder, weights_folder
from dmix.job import facts
from dmix.reading import seal

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("Snakefile", "params.yaml", "params", "workflows", "reference")
TIER = "smoke"
SEEDS = (2, 13)
SETTLED_SECONDS = 3
OWN = ("--profile", "workflows/profiles/local", "--config", f"tier={TIER}")
FLOOR = ("--cores", "all", "--rerun-triggers", "mtime")
# How a dry run is asked for: what it tells, and Snakemake's options.
DRY_RUNS = {"counts": ("-n", "--quiet"), "every job": ("-n", "--quiet", "host")}
FLOOR_SNAKEFILE = """\
import json

READERS = json.load(open("readers.json"))


rule all:
    input:
        [f"read/{place}" for place in range(len(READERS))],


rule train:
    output:
        record="records/{folder}/record.json",
        history="records/{folder}/history.csv",
    log:
        "work/{folder}/log.txt",
    message:
        "Train {wildcards.folder}"
    shell:
        "train {wildcards.folder} >{log} 2>&1"


for place, folders in enumerate(READERS):

    rule:
        name:
            f"read_{place}"
        input:
            [f"records/{folder}/record.json" for folder in folders],
        output:
            f"read/{place}",
        shell:
            "read > {output}"
"""


@dataclass(frozen=True)
class Row:
    """The time of one command, in seconds.

    Attributes
    ----------
    seconds, lowest, highest: by the clock, the median of `n` calls and its range.
    cpu, cpu_lowest, cpu_highest: of the CPU seconds. beyond, beyond_lowest, beyond_highest: of these, what
        `snakemake --version` does not take; None for other commands. floor: the median of the same of a
        Snakefile without functions.
    """

    runs: int
    what: str
    n: int
    seconds: float
    lowest: float
    highest: float
    cpu: float
    cpu_lowest: float
    cpu_highest: float
    beyond: float | None = None
    beyond_lowest: float | None = None
    beyond_highest: float | None = None
    floor: float | None = None


def main() -> None:
    """Build each large grid, time what is done with it, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="(default: 2 and 13)")
    parser.add_argument("--repeats", type=int, default=3, help="of each time (default: 3)")
    parser.add_argument("--csv", type=Path, help="file of the times")
    options = parser.parse_args()
    target = options.csv.resolve() if options.csv else None
    load = os.getloadavg()[0]
    print(f"machine: {os.cpu_count()} cores, {cpu()}, load average {load:.1f} at the start")
    print("versions: " + ", ".join(f"{name} {version}" for name, version in facts.versions().items()))
    print(
        f"seconds, median of n = {options.repeats} (lowest to highest), and median CPU seconds; of dry runs"
    )
    print("CPU seconds beyond those of snakemake --version, the floor, and the ratio of the two")
    rows: list[Row] = []
    for seeds in options.seeds:
        with tempfile.TemporaryDirectory() as name:
            rows += measure(Path(name), seeds, options.repeats)
        if target:
            write(target, rows)


def measure(folder: Path, seeds: int, repeats: int) -> list[Row]:
    """Print and return the times of a grid with so many seeds."""
    for item in COPIED:
        copy = shutil.copytree if (ROOT / item).is_dir() else shutil.copy
        copy(ROOT / item, folder / item)
    (folder / WORK).mkdir()  # as wherever a job has run; what is known of the code is kept there
    enlarge(folder, seeds)
    params = folder / "params.yaml"
    os.chdir(folder)
    grid = load_grid(TIER, params)
    bare = folder / "floor"
    lay_floor(grid, bare)
    rows: list[Row] = []

    def note(what: str, action: Callable[[], object], start: float = 0.0, floor: float | None = None) -> Row:
        row = timed_row(len(grid.runs), what, repeats, action, start, floor)
        rows.append(row)
        print(told(row), flush=True)
        return row

    print(f"\n{len(grid.runs)} runs")
    note("dmix --help", lambda: call("dmix", "--help"))
    note("expand params.yaml", lambda: load_grid(TIER, params))
    start = note("snakemake --version", lambda: call("snakemake", "--version")).cpu
    floors = {
        what: timed_row(
            len(grid.runs), what, repeats, lambda how=how: call("snakemake", *how, *FLOOR, folder=bare), start
        ).beyond
        for what, how in DRY_RUNS.items()
    }
    for what, how in DRY_RUNS.items():
        note(f"dry run, {what}", lambda how=how: call("snakemake", *how, *OWN), start, floors[what])
    finish_all(grid, folder)
    time.sleep(SETTLED_SECONDS)  # files that have just changed are not remembered
    first = timed(lambda: call("dmix", "status", "--tier", TIER))
    print(f"dmix status, which reads and hashes all for the first time: {first[0]:.2f}")
    note("dry run, all finished", lambda: call("snakemake", *DRY_RUNS["counts"], *OWN), start)
    note("dmix status", lambda: call("dmix", "status", "--tier", TIER))
    note("dmix plan", lambda: call("dmix", "plan", "--tier", TIER))
    return rows


def timed_row(
    runs: int,
    what: str,
    repeats: int,
    action: Callable[[], object],
    start: float = 0.0,
    floor: float | None = None,
) -> Row:
    """Return the time of an action; `start`: CPU seconds of Snakemake's own start, 0 for other commands."""
    clock, cpu_time = zip(*(timed(action) for _ in range(repeats)), strict=True)
    used = (statistics.median(cpu_time), min(cpu_time), max(cpu_time))
    beyond = [seconds - start for seconds in used] if start else [None] * len(used)
    return Row(
        runs, what, repeats, statistics.median(clock), min(clock), max(clock), *used, *beyond, floor=floor
    )


def told(row: Row) -> str:
    """Return a line of the table."""
    spread = f"({row.lowest:.2f} to {row.highest:.2f})"
    line = f"{row.what:<24}{row.seconds:7.2f}  {spread:<20}{row.cpu:7.2f}"
    if row.beyond is not None:
        line += f"{row.beyond:9.2f}"
    if row.beyond is not None and row.floor is not None:
        line += f"{row.floor:9.2f}{row.beyond / row.floor:8.2f}"
    return line


def write(path: Path, rows: list[Row]) -> None:
    """Write the times, one line per command and number of runs."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            rounded = {
                key: f"{value:.3f}" if isinstance(value, float) else value
                for key, value in asdict(row).items()
            }
            writer.writerow(rounded)


def lay_floor(grid: Grid, folder: Path) -> None:
    """Lay a Snakefile without functions, whose jobs read as many outputs of as many others."""
    places = grid.folders
    read = [
        list(places.values()),
        *([places[name] for name in grid.table_runs(table)] for table in grid.tables.values()),
        *([places[name] for name in grid.figure_runs(figure)] for figure in grid.figures.values()),
    ]
    folder.mkdir()
    (folder / "readers.json").write_text(json.dumps([names for names in read if names]))
    (folder / "Snakefile").write_text(FLOOR_SNAKEFILE)


def enlarge(folder: Path, seeds: int) -> None:
    """Give the smoke tier so many seeds."""
    old = "    seeds: [0]\n    estimate_seconds: 2\n"
    new = old.replace("[0]", str(list(range(seeds))))
    files = [folder / "params.yaml", *(folder / "params").rglob("*.yaml")]
    (path,) = [file for file in files if old in file.read_text()]
    path.write_text(path.read_text().replace(old, new))


def finish_all(grid: Grid, folder: Path) -> None:
    """Lay a sealed record, a history and weights for every run of the grid."""
    for name, place in grid.places.items():
        results = folder / records_folder(grid.tier) / place
        large = folder / weights_folder(grid.tier) / place
        for made in (results, large):
            made.mkdir(parents=True)
        weights, history = f"weights of {name}".encode(), b"step\n1\n"
        (large / WEIGHTS).write_bytes(weights)
        (results / HISTORY).write_bytes(history)
        record = {
            "schema_version": 2,
            "name": name,
            "seconds": 1.0,
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
            "history_sha256": hashlib.sha256(history).hexdigest(),
        }
        (results / RECORD).write_text(json.dumps(record | {"record_sha256": seal(record)}))


def timed(action: Callable[[], object]) -> tuple[float, float]:
    """Return seconds by the clock and of the CPU, of one call and the processes that it starts."""
    before, start = os.times(), time.perf_counter()
    action()
    clock, after = time.perf_counter() - start, os.times()
    return clock, sum(after[:4]) - sum(before[:4])


def call(program: str, *arguments: str, folder: Path | None = None) -> None:
    """Run a program of this environment in `folder`, by default the current one."""
    path = Path(sys.executable).with_name(program)
    subprocess.run([path, *arguments], check=True, capture_output=True, cwd=folder)


def cpu() -> str:
    """Return the processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
