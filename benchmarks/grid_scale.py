"""How the pipeline scales with the grid: expansion, dry run, status and plan of 2,400 and 10,000 runs.

Prints n, hardware and versions. The grid is the repository's own smoke tier, which has every cell and needs
no genuine data, with 3 seeds and with 13. Status and plan are timed with a record of every run, the dry run
without any. Targets: a dry run at most 3 s (10,000 runs: 15 s) more than `snakemake --version` on the same
machine; status and plan of 10,000 runs within 5 s each. CPU seconds are printed beside those of the clock:
on a machine that does other work at the same time, they are the ones to compare.
"""

from __future__ import annotations

import argparse
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
from pathlib import Path

from dmix.grid.expand import Grid, load_grid
from dmix.grid.paths import HISTORY, RECORD, WEIGHTS, records_folder, weights_folder
from dmix.reading import seal

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("Snakefile", "params.yaml", "params", "workflows", "reference")
TIER = "smoke"
SEEDS = (3, 13)
SETTLED_SECONDS = 3


def main() -> None:
    """Build each large grid, time what is done with it, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="(default: 3 and 13)")
    parser.add_argument("--repeats", type=int, default=3, help="of each time (default: 3)")
    options = parser.parse_args()
    print(f"machine: {os.cpu_count()} cores, {cpu()}; Python {platform.python_version()}")
    for seeds in options.seeds:
        with tempfile.TemporaryDirectory() as name:
            measure(Path(name), seeds, options.repeats)


def measure(folder: Path, seeds: int, repeats: int) -> None:
    """Print the times of a grid with so many seeds."""
    for item in COPIED:
        copy = shutil.copytree if (ROOT / item).is_dir() else shutil.copy
        copy(ROOT / item, folder / item)
    enlarge(folder, seeds)
    params = folder / "params.yaml"
    os.chdir(folder)
    grid = load_grid(TIER, params)

    def times(label: str, action: Callable[[], object]) -> float:
        found = [timed(action) for _ in range(repeats)]
        clock, cpu_time = zip(*found, strict=True)
        spread = f"({min(clock):.2f} to {max(clock):.2f})"
        print(f"{label:<24}{statistics.median(clock):7.2f}  {spread:<20}{statistics.median(cpu_time):7.2f}")
        sys.stdout.flush()
        return statistics.median(cpu_time)

    print(f"\n{len(grid.runs)} runs; n = {repeats}; median (minimum to maximum), and median CPU seconds")
    times("expand params.yaml", lambda: load_grid(TIER, params))
    version = times("snakemake --version", lambda: call("snakemake", "--version"))
    dry = ("--profile", "workflows/profiles/local", "-n", "--quiet", "all", "--config", f"tier={TIER}")
    dry_run = times("snakemake -n", lambda: call("snakemake", *dry))
    print(f"snakemake -n beyond --version: {dry_run - version:.2f} CPU seconds")
    finish_all(grid, folder)
    time.sleep(SETTLED_SECONDS)  # files that have just changed are not remembered
    first = timed(lambda: call("dmix", "status", "--tier", TIER))
    print(f"dmix status, which reads and hashes all for the first time: {first[0]:.2f}")
    times("dmix status", lambda: call("dmix", "status", "--tier", TIER))
    times("dmix plan", lambda: call("dmix", "plan", "--tier", TIER))


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


def call(program: str, *arguments: str) -> None:
    """Run a program of this environment in the current folder."""
    path = Path(sys.executable).with_name(program)
    subprocess.run([path, *arguments], check=True, capture_output=True)


def cpu() -> str:
    """Return the processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
