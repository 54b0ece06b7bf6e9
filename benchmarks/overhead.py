"""Share of a training step on the CPU in which no torch operation runs: Python, and waiting.

torch's profiler notes when each operation begins and ends; what their union, over all threads, leaves of a
step is the share. The profiler takes time itself, mostly between operations, so the share is an upper bound.
The network is small (ResNet-18 of width 8), because Python takes as long in a large one, of a longer step.

Printed and written as CSV: median step time without the profiler, median share (10 % to 90 %) and n. Printed
below and written as a profile: the Python functions that take most time themselves, by cProfile. It slows
them down, so that their order counts more than their times, and it sees no operation that is written as a
symbol, `a + b`: its time is in that of the function.

    python benchmarks/overhead.py [--rounds N] [--policies NAME...] [--csv FILE] [--profile FILE]
"""

from __future__ import annotations

import argparse
import cProfile
import csv
import pstats
import statistics
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from step_time import RESNET18, specs, step, trainer
from torch.profiler import ProfilerActivity, profile, record_function

from dmix.engine.device import choose_device
from dmix.engine.trainer import Trainer
from dmix.grid.expand import load_grid
from dmix.job import facts

SETUP = "ResNet-18 of width 8, 32 px, batch 100"
BACKBONE, SIZE, BATCH = RESNET18 | {"width": 8}, 32, 100
OBJECTIVE = "dm_ce"  # no other does more in Python
STEP = "dmix step"
SHOWN = 10  # functions of a policy
COLUMNS = (
    *("setup", "policy", "objective", "milliseconds", "share", "share_low", "share_high", "n", "torch"),
)
Interval = tuple[float, float]


def main() -> None:
    """Take the share of every policy's step, and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--policies", nargs="+", metavar="NAME", help="only these")
    options.add_argument("--csv", type=Path)
    options.add_argument("--profile", type=Path)
    given = options.parse_args()
    device = choose_device("cpu")
    hardware = facts.hardware(device)
    print(f"device: {hardware.device}, {hardware.host_cpu}, {torch.get_num_threads()} thread(s)")
    print("versions: " + ", ".join(f"{name} {version}" for name, version in facts.versions().items()))
    print(f"\n{SETUP}; n = {given.rounds} steps; share without an operation: median (10 % to 90 %)")
    print(f"{'policy':<14}{'objective':<11}{'ms':>9}{'share':>8}   spread")
    rows, profiles = [], []
    for (policy, objective), spec in specs(load_grid("full")).items():
        if objective != OBJECTIVE or (given.policies and policy not in given.policies):
            continue
        one = trainer(spec, BACKBONE, SIZE, BATCH, device)
        for _ in range(3):  # caches, autotuning
            one.train_step()
        milliseconds = 1e3 * statistics.median(step(one, device) for _ in range(given.rounds))
        shares = [idle_share(one) for _ in range(given.rounds)]
        share, (low, high) = statistics.median(shares), np.quantile(shares, [0.1, 0.9])
        print(
            f"{policy:<14}{objective:<11}{milliseconds:>9.1f}{share:>8.1%}   {low:.1%} to {high:.1%}",
            flush=True,
        )
        numbers = (f"{value:.4f}" for value in (milliseconds, share, low, high))
        values = (SETUP, policy, objective, *numbers, given.rounds, torch.__version__)
        rows.append(dict(zip(COLUMNS, values, strict=True)))
        profiles += ["", policy, *functions(one, given.rounds)]
    text = "\n".join(["Python functions by their own time: ms of a step (calls)", *profiles, ""])
    print(f"\n{text}")
    if given.profile:
        given.profile.write_text(text)
    if given.csv:
        with given.csv.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def idle_share(one: Trainer) -> float:
    """Take a step, and return the share of its time in which no operation runs."""
    with profile(activities=[ProfilerActivity.CPU]) as seen, record_function(STEP):
        one.train_step()
    events = [(event.name, (event.time_range.start, event.time_range.end)) for event in seen.events()]
    ((start, end),) = [interval for name, interval in events if name == STEP]
    operations = (interval for name, interval in events if is_operation(name))
    return 1 - union(operations, start, end) / (end - start)


def is_operation(name: str) -> bool:
    """Return whether an event of the profiler is an operation, and not a mark around several.

    Operations have a name space, `aten::mm`. Marks are the optimiser's and autograd's: below them Python, or
    the engine of autograd, may be at work.
    """
    return "::" in name and not name.startswith("autograd::")


def union(intervals: Iterable[Interval], start: float, end: float) -> float:
    """Return the length of what intervals, which may overlap, cover between `start` and `end`."""
    covered, reached = 0.0, start
    for low, high in sorted(intervals):
        begin, stop = max(low, reached), min(high, end)
        if stop > begin:
            covered, reached = covered + stop - begin, stop
    return covered


def functions(one: Trainer, steps: int) -> list[str]:
    """Return a line for each of the Python functions that take most time themselves."""
    with cProfile.Profile() as taken:
        for _ in range(steps):
            one.train_step()
    found = [
        (own, calls, place)
        for place, (_, calls, own, _, _) in pstats.Stats(taken).stats.items()
        if Path(place[0]).suffix == ".py"  # not built into the interpreter, as operations are
    ]
    return [
        f"{1e3 * own / steps:>9.3f} {f'({calls / steps:.0f})':<8}"
        f"{'/'.join(Path(file).parts[-3:])}:{line} {name}"
        for own, calls, (file, line, name) in sorted(found, reverse=True)[:SHOWN]
    ]


if __name__ == "__main__":
    main()
