"""How the pipeline scales with the grid: expansion and DAG of the paper's thousand runs.

Prints n, hardware and versions. Targets: expansion under 0.2 s; `snakemake -n` at most 3 s more than
`snakemake --version` on the same machine. The grid is the repository's own, with all seeds.
"""

from __future__ import annotations

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

from dmix.grid.expand import load_grid

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("Snakefile", "params.yaml", "params", "workflows", "reference")
REPEATS = 5


def main() -> None:
    """Build the large grid, time its expansion and its dry run, and print both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for item in COPIED:
            copy = shutil.copytree if (ROOT / item).is_dir() else shutil.copy
            copy(ROOT / item, folder / item)
        enlarge(folder)
        params = folder / "params.yaml"
        runs = len(load_grid("smoke", params).runs)
        expansion = [timed(lambda: load_grid("smoke", params)) for _ in range(REPEATS)]
        version = [timed(lambda: snakemake(folder, "--version")) for _ in range(REPEATS)]
        profile = ("--profile", "workflows/profiles/local")
        dry_run = [
            timed(lambda: snakemake(folder, *profile, "-n", "--quiet", "all", "--config", "tier=smoke"))
            for _ in range(REPEATS)
        ]
    print(f"machine: {os.cpu_count()} cores, {cpu()}; Python {platform.python_version()}")
    print(f"runs in the grid: {runs}; n = {REPEATS} repeats, median (minimum to maximum) in seconds")
    for label, seconds in (
        ("expand params.yaml", expansion),
        ("snakemake --version", version),
        ("snakemake -n", dry_run),
    ):
        print(f"{label:<22}{statistics.median(seconds):7.3f}  ({min(seconds):.3f} to {max(seconds):.3f})")
    extra = statistics.median(dry_run) - statistics.median(version)
    print(f"snakemake -n minus --version: {extra:.2f} s (target: at most 3 s)")
    print(f"expansion: {statistics.median(expansion):.3f} s (target: under 0.2 s)")


def enlarge(folder: Path) -> None:
    """Give the smoke tier, which has every cell and needs no genuine data, the seeds of the full tier."""
    old, new = "    seeds: [0]\n    estimate_seconds: 2\n", "    seeds: [0, 1, 2]\n    estimate_seconds: 2\n"
    files = [folder / "params.yaml", *(folder / "params").rglob("*.yaml")]
    (path,) = [file for file in files if old in file.read_text()]
    path.write_text(path.read_text().replace(old, new))


def timed(action: Callable[[], object]) -> float:
    """Return wall seconds of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def snakemake(folder: Path, *arguments: str) -> None:
    """Run snakemake in `folder`."""
    program = Path(sys.executable).with_name("snakemake")
    subprocess.run([program, *arguments], cwd=folder, check=True, capture_output=True)


def cpu() -> str:
    """Return the processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
