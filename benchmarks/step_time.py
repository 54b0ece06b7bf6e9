"""Time of a training step of every policy and objective, over that of Mixup + MCE on the same model.

All combinations live in one process and take turns, one step each in a shuffled order per round, so that
drift of the machine hits all alike. Printed and written as CSV: median step time, the median over rounds
of the ratio to Mixup + MCE (each to its own round), the algorithmic floor (passes of the policy over the
three of Mixup) and n. Data are noise: a step's time does not depend on what is in the pictures, but
PuzzleMix's grid and ManifoldMix's layer are drawn anew in every step, so n should not be small.

    python benchmarks/step_time.py [--rounds N] [--device cpu|cuda] [--csv FILE]
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import random
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from dmix.data.sets.dataset import Dataset, Split
from dmix.engine.assemble import assemble
from dmix.engine.device import choose_device
from dmix.engine.trainer import Trainer
from dmix.grid.expand import Grid, load_grid
from dmix.grid.spec import RunSpec
from dmix.job import facts

OBJECTIVES = ("mce", "dm_ce")
REFERENCE = ("mixup", "mce")
# name: (backbone settings to change, image size, batch size); the base is CIFAR-100's ResNet-18 cell.
RESNET18 = {
    "stem": "cifar",
    "block": "basic",
    "layers": [2, 2, 2, 2],
    "width": 64,
    "groups": 1,
    "group_width": 0,
}
RESNET50 = RESNET18 | {"stem": "imagenet", "block": "bottleneck", "layers": [3, 4, 6, 3], "group_width": 64}
SETUPS = {
    "cpu": {"ResNet-18 of width 16, 32 px, batch 100": (RESNET18 | {"width": 16}, 32, 100)},
    "cuda": {
        "ResNet-18, 32 px, batch 100": (RESNET18, 32, 100),
        "ResNet-50, 224 px, batch 64": (RESNET50, 224, 64),
    },
}
COLUMNS = ("setup", "policy", "objective", "milliseconds", "ratio", "ratio_low", "ratio_high", "floor", "n")


def main() -> None:
    """Time every combination and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    options.add_argument("--csv", type=Path)
    given = options.parse_args()
    device = choose_device(given.device)
    hardware = facts.hardware(device)
    print(f"device: {hardware.device}, {hardware.host_cpu}, {torch.get_num_threads()} thread(s)")
    print("versions: " + ", ".join(f"{name} {version}" for name, version in facts.versions().items()))
    grid = load_grid("full")
    rows = [
        row
        for setup, (backbone, size, batch) in SETUPS[device.type].items()
        for row in measure(grid, setup, backbone, size, batch, device, given.rounds)
    ]
    if given.csv:
        with given.csv.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        print(f"written: {given.csv}")


def measure(
    grid: Grid,
    setup: str,
    backbone: dict[str, object],
    size: int,
    batch: int,
    device: torch.device,
    rounds: int,
) -> list[dict[str, object]]:
    """Time all combinations in one setup, print a line for each and return them as rows."""
    policies = [name for name, entry in grid.params.policies.items() if entry.kind in ("static", "dynamic")]
    specs = {(p, o): f"supervised/cifar100/resnet18/{p}/{o}/s0" for p in policies for o in OBJECTIVES}
    trainers = {
        combination: trainer(grid.runs[name], backbone, size, batch, device)
        for combination, name in specs.items()
        if not grid.missing(name)
    }
    for one in trainers.values():
        for _ in range(3):  # caches, autotuning
            step(one, device)
    times: dict[tuple[str, str], list[float]] = {combination: [] for combination in trainers}
    order = list(trainers)
    shuffle = random.Random(0).shuffle
    for _ in range(rounds):
        shuffle(order)
        for combination in order:
            times[combination].append(step(trainers[combination], device))
    print(f"\n{setup}; n = {rounds} rounds; ratio: median (10 % to 90 %) over rounds")
    print(
        f"{'policy':<14}{'objective':<11}{'ms':>9}{'ratio':>8}   {'spread':<14}{'floor':>7}{'DM(CE)/MCE':>12}"
    )
    rows = []
    for policy, objective in trainers:
        own = times[policy, objective]
        ratio = [a / b for a, b in zip(own, times[REFERENCE], strict=True)]
        low, high = np.quantile(ratio, [0.1, 0.9])
        floor = grid.params.policies[policy].passes / grid.params.policies[REFERENCE[0]].passes
        row = (
            setup,
            policy,
            objective,
            statistics.median(own) * 1e3,
            statistics.median(ratio),
            low,
            high,
            floor,
            rounds,
        )
        over = [a / b for a, b in zip(own, times[policy, "mce"], strict=True)]
        print(
            f"{policy:<14}{objective:<11}{row[3]:>9.2f}{row[4]:>8.3f}   {low:.3f}-{high:<8.3f}{floor:>7.2f}"
            + (f"{statistics.median(over):>12.3f}" if objective != "mce" else "")
        )
        rows.append(dict(zip(COLUMNS, (f"{v:.4f}" if isinstance(v, float) else v for v in row), strict=True)))
    return rows


def trainer(
    spec: RunSpec, backbone: dict[str, object], size: int, batch: int, device: torch.device
) -> Trainer:
    """Return the trainer of a run on noise of another size, with another network."""
    sections = dict(spec.settings)
    sections["backbone"] = {**sections["backbone"], **backbone}
    sections["recipe"] = {**sections["recipe"], "batch_size": batch}
    sections["augment"] = {"use": "identity"}
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(4 * batch, 3, size, size), dtype=np.uint8)
    split = Split(images, rng.integers(100, size=4 * batch))
    dataset = Dataset("noise", "embedded", 100, {"train": split, "test": split})
    return assemble(dataclasses.replace(spec, settings=sections), dataset, device)


def step(one: Trainer, device: torch.device) -> float:
    """Return the seconds of one training step."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    one.train_step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
