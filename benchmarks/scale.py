"""Prints what docs/scale.md says: the full tier on 1 to 512 GPUs, the checkpoint interval, and files by run.

python benchmarks/scale.py                   # the simulated tables
python benchmarks/scale.py --files FOLDER    # files of a finished tier, in a folder where one was trained
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

from replay import Site, overhead, replay, young

from dmix.grid.cost import Costs
from dmix.grid.expand import load_grid
from dmix.grid.gpus import read_gpu
from dmix.grid.order import ranks

GPUS = (1, 8, 64, 512)
FAILURES = (0.1, 1.0, 10.0)  # of a node, per 1,000 hours
SAVES = (0.2, 2.0, 10.0)  # seconds that training stands still for a checkpoint
INTERVALS = (60, 300, 600, 1800, 3600)  # seconds
TYPICAL_SAVE = 2.0
SEEDS = range(3)


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tier", default="full")
    parser.add_argument("--gpu", default="a100", help="of reference/gpus.csv")
    parser.add_argument("--files", type=Path, metavar="FOLDER", help="count files of a finished tier")
    options = parser.parse_args()
    if options.files is not None:
        count_files(options.files, options.tier)
        return
    hours, order, needs = jobs(options.tier, options.gpu)
    print(f"tier {options.tier} on {options.gpu}: {len(hours)} runs, {sum(hours.values()):,.0f} GPU hours,")
    median = sorted(hours.values())[len(hours) // 2]
    print(f"longest run {max(hours.values()):,.1f} hours, median {median:.1f}\n")
    on_gpus(hours, order, needs)
    with_failures(hours, order, needs)
    by_interval()


def jobs(tier: str, gpu: str) -> tuple[dict[str, float], list[str], dict[str, list[str]]]:
    """Return hours, order of starts, and what waits for what, of the runs of a tier."""
    grid = load_grid(tier)
    costs = Costs(grid, read_gpu(gpu))
    hours = {name: costs[name].hours for name in grid.runs}
    rank = ranks(grid)
    order = sorted(hours, key=rank.__getitem__)
    needs = {name: [spec.source.name] for name, spec in grid.runs.items() if spec.source is not None}
    return hours, order, needs


def on_gpus(hours: dict[str, float], order: list[str], needs: dict[str, list[str]]) -> None:
    """Print the makespan without failures, beside the bound that no order of starts can beat."""
    print("| GPUs | days | idle | days, longest first | lower bound |\n|---:|---:|---:|---:|---:|")
    longest = sorted(order, key=lambda name: -hours[name])
    chain = max(hours[name] + sum(hours[need] for need in needs.get(name, ())) for name in hours)
    for gpus in GPUS:
        found = replay(hours, order, needs, Site(gpus))
        other = replay(hours, longest, needs, Site(gpus)).makespan
        bound = max(sum(hours.values()) / gpus, chain)
        cells = [f"{found.makespan / 24:,.1f}", f"{found.idle(gpus):.1%}"]
        print(f"| {gpus} | {' | '.join(cells)} | {other / 24:,.1f} | {bound / 24:,.1f} |")
    print()


def with_failures(hours: dict[str, float], order: list[str], needs: dict[str, list[str]]) -> None:
    """Print lost hours and makespan by failure rate and checkpoint interval, means over `SEEDS`."""
    print("| GPUs | failures | interval | killed | lost | saving | starting | days |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for gpus, failures, seconds in itertools.product((8, 64, 512), (1.0, 10.0), (60, 600, 3600)):
        site = Site(
            gpus,
            failures=failures,
            preemptions=1.0,
            interval=seconds / 3600,
            save=TYPICAL_SAVE / 3600,
        )
        seen = [replay(hours, order, needs, site, seed) for seed in SEEDS]
        shares = [
            mean([getattr(each, part) for each in seen]) / sum(hours.values())
            for part in ("lost", "saving", "starting")
        ]
        killed, days = mean([each.failed for each in seen]), mean([each.makespan for each in seen]) / 24
        texts = " | ".join(f"{share:.2%}" for share in shares)
        print(f"| {gpus} | {failures:g} | {seconds} s | {killed:.0f} | {texts} | {days:,.1f} |")
    print()


def by_interval() -> None:
    """Print the expected overhead by interval, save time and failure rate, and the best interval."""
    cases = list(itertools.product(SAVES, FAILURES))
    print("| interval | " + " | ".join(f"{save:g} s, {rate:g}" for save, rate in cases) + " | worst |")
    print("|---:|" + "---:|" * (len(cases) + 1))
    for seconds in INTERVALS:
        shares = [overhead(seconds / 3600, save / 3600, rate) for save, rate in cases]
        print(f"| {seconds} s | " + " | ".join(f"{share:.2%}" for share in (*shares, max(shares))) + " |")
    best = [young(save / 3600, rate) * 60 for save, rate in cases]
    print("| Young's, minutes | " + " | ".join(f"{minutes:.0f}" for minutes in best) + " | |")


def count_files(folder: Path, tier: str) -> None:
    """Print files and folders per finished run of a tier."""
    runs = sum(1 for _ in (folder / "results" / tier / "records").rglob("record.json"))
    print(f"{runs} finished runs of tier {tier}; each has")
    for label, place in (
        ("records", f"results/{tier}/records"),
        ("weights", f"results/{tier}/weights"),
        ("work", f"work/{tier}"),
        ("Snakemake's own", ".snakemake"),
    ):
        found = list((folder / place).rglob("*"))
        files = sum(path.is_file() for path in found)
        print(f"{label}: {files / runs:.1f} files, {(len(found) - files) / runs:.1f} folders")


def mean(values: list[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
