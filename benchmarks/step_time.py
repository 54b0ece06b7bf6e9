"""Time of a training step of every policy and objective, over that of Mixup + MCE on the same model.

All combinations live in one process and take turns, one step each in a shuffled order per round, so that
drift of the machine hits all alike. With them goes a plain loop on the same network: timm's Mixup,
cross-entropy with its soft labels, images in channels_last, torch's own choice of algorithms (dmix asks for
deterministic ones on a CPU), nothing of dmix around it. Printed and written as
CSV: median step time, the median over rounds of the ratio to Mixup + MCE (each to its own round), the
algorithmic floor (passes of the policy over the three of Mixup), of DM(CE) the ratio to the same policy with
MCE, and n. Data are noise: a step's time does not
depend on what is in the pictures, but PuzzleMix's grid and ManifoldMix's layer are drawn anew in every step,
so n should not be small.

    python benchmarks/step_time.py [--rounds N] [--device cpu|cuda] [--precision fp32 tf32 bf16] [--csv FILE]

`--rehearse` takes a tiny network and batch, to see that all of it runs.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import random
import statistics
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import nn

from dmix.backbones.resnet import ResNet
from dmix.data.sets.dataset import Dataset, Split
from dmix.engine.assemble import assemble
from dmix.engine.device import choose_device
from dmix.engine.trainer import Trainer
from dmix.grid.expand import Grid, load_grid
from dmix.grid.spec import RunSpec
from dmix.job import facts
from dmix.vision import timm

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
    "rehearsal": {"ResNet-18 of width 2, 16 px, batch 8": (RESNET18 | {"width": 2}, 16, 8)},
    "cpu": {"ResNet-18 of width 16, 32 px, batch 100": (RESNET18 | {"width": 16}, 32, 100)},
    "cuda": {
        "ResNet-18, 32 px, batch 100": (RESNET18, 32, 100),
        "ResNet-50, 224 px, batch 64": (RESNET50, 224, 64),
    },
}
CLASSES = 100
LEARNING_RATE = 1e-3  # so small that no loss becomes infinite on noise
PLAIN = ("timm", "plain loop")
COLUMNS = (
    *("setup", "precision", "policy", "objective"),
    *("milliseconds", "ratio", "ratio_low", "ratio_high", "floor"),
    *("over_mce", "over_mce_low", "over_mce_high", "n", "device", "torch"),
)


def main() -> None:
    """Time every combination and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    options.add_argument("--precision", nargs="+", choices=["fp32", "tf32", "bf16"], default=["fp32"])
    options.add_argument("--csv", type=Path)
    options.add_argument("--rehearse", action="store_true")
    given = options.parse_args()
    device = choose_device(given.device)
    hardware = facts.hardware(device)
    print(f"device: {hardware.device}, {hardware.host_cpu}, {torch.get_num_threads()} thread(s)")
    print("versions: " + ", ".join(f"{name} {version}" for name, version in facts.versions().items()))
    grid = load_grid("full")
    rows: list[dict[str, object]] = []
    setups = SETUPS["rehearsal" if given.rehearse else device.type]
    for setup, (backbone, size, batch) in setups.items():
        for precision in given.precision:
            found = measure(grid, setup, backbone, size, batch, device, given.rounds, precision)
            rows += [row | {"device": hardware.device, "torch": torch.__version__} for row in found]
            if given.csv:  # after each table: what follows may be stopped
                write(given.csv, rows)


def write(path: Path, rows: list[dict[str, object]]) -> None:
    """Write the rows as CSV, in place of what was there."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"written: {path}")


def measure(
    grid: Grid,
    setup: str,
    backbone: dict[str, object],
    size: int,
    batch: int,
    device: torch.device,
    rounds: int,
    precision: str = "fp32",
) -> list[dict[str, object]]:
    """Time all combinations in one setup, print a line for each and return them as rows."""
    trainers: dict[tuple[str, str], Trainer | PlainLoop] = {
        combination: trainer(spec, backbone, size, batch, device, precision)
        for combination, spec in specs(grid).items()
    }
    trainers[PLAIN] = PlainLoop(backbone, size, batch, device, precision)
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
    print(f"\n{setup}, {precision}; n = {rounds} rounds; ratio: median (10 % to 90 %) over rounds")
    print(
        f"{'policy':<14}{'objective':<11}{'ms':>9}{'ratio':>8}   {'spread':<14}{'floor':>7}{'DM(CE)/MCE':>12}"
    )
    rows = []
    for policy, objective in trainers:
        own = times[policy, objective]
        ratio = [a / b for a, b in zip(own, times[REFERENCE], strict=True)]
        low, high = np.quantile(ratio, [0.1, 0.9])
        alike = REFERENCE[0] if (policy, objective) == PLAIN else policy
        floor = grid.params.policies[alike].passes / grid.params.policies[REFERENCE[0]].passes
        over = [a / b for a, b in zip(own, times.get((policy, "mce"), own), strict=True)]
        over_low, over_high = np.quantile(over, [0.1, 0.9])
        row = {
            "setup": setup,
            "precision": precision,
            "policy": policy,
            "objective": objective,
            "milliseconds": f"{statistics.median(own) * 1e3:.4f}",
            "ratio": f"{statistics.median(ratio):.4f}",
            "ratio_low": f"{low:.4f}",
            "ratio_high": f"{high:.4f}",
            "floor": f"{floor:.4f}",
            "over_mce": f"{statistics.median(over):.4f}",
            "over_mce_low": f"{over_low:.4f}",
            "over_mce_high": f"{over_high:.4f}",
            "n": rounds,
        }
        print(
            f"{policy:<14}{objective:<11}{statistics.median(own) * 1e3:>9.2f}{statistics.median(ratio):>8.3f}"
            f"   {low:.3f}-{high:<8.3f}{floor:>7.2f}"
            + (f"{statistics.median(over):>12.3f}" if objective == "dm_ce" else "")
        )
        rows.append(row)
    return rows


def specs(grid: Grid) -> dict[tuple[str, str], RunSpec]:
    """Return (policy, objective) -> a run, of all that have one."""
    policies = [name for name, entry in grid.params.policies.items() if entry.kind in ("static", "dynamic")]
    names = {(p, o): f"supervised/cifar100/resnet18/{p}/{o}/s0" for p in policies for o in OBJECTIVES}
    return {key: grid.runs[name] for key, name in names.items() if not grid.missing(name)}


class PlainLoop:
    """Steps of a loop without dmix on one of its networks: timm's Mixup, SGD, channels_last."""

    def __init__(
        self, backbone: dict[str, object], size: int, batch: int, device: torch.device, precision: str
    ) -> None:
        self.model = ResNet(CLASSES, **backbone).to(device, memory_format=torch.channels_last).train()
        self.optimizer = torch.optim.SGD(self.model.parameters(), LEARNING_RATE, 0.9, weight_decay=1e-4)
        self.mixup = timm().data.Mixup(mixup_alpha=1.0, label_smoothing=0.0, num_classes=CLASSES)
        self.images = torch.randint(256, (4 * batch, 3, size, size), dtype=torch.uint8, device=device)
        self.labels = torch.randint(CLASSES, (4 * batch,), device=device)
        self.batch, self.device = batch, device
        half = precision == "bf16"
        self.cast = torch.autocast(device.type, torch.bfloat16) if half else nullcontext()
        self.mean = torch.tensor([0.5, 0.5, 0.5], device=device)[:, None, None] * 255

    def train_step(self) -> None:
        """Take a step with torch's own choice of algorithms, which is the process's."""
        deterministic = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(False)
        self._step()
        torch.use_deterministic_algorithms(deterministic)

    def _step(self) -> None:
        """Take a batch in random order, mix it, and take a step."""
        index = torch.randint(len(self.labels), (self.batch,), device=self.device)
        images = ((self.images[index] - self.mean) / 64).contiguous(memory_format=torch.channels_last)
        images, targets = self.mixup(images, self.labels[index])
        with self.cast:
            logits = self.model(images)
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(logits.float(), targets).backward()
        self.optimizer.step()


def trainer(
    spec: RunSpec,
    backbone: dict[str, object],
    size: int,
    batch: int,
    device: torch.device,
    precision: str = "fp32",
) -> Trainer:
    """Return the trainer of a run on noise of another size, with another network."""
    sections = dict(spec.settings)
    sections["backbone"] = {**sections["backbone"], **backbone}
    sections["recipe"] = {
        **sections["recipe"],
        "batch_size": batch,
        "precision": precision,
        "lr": LEARNING_RATE,
    }
    sections["augment"] = {"use": "identity"}
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(4 * batch, 3, size, size), dtype=np.uint8)
    split = Split(images, rng.integers(CLASSES, size=4 * batch))
    dataset = Dataset("noise", "embedded", CLASSES, {"train": split, "test": split})
    return assemble(dataclasses.replace(spec, settings=sections), dataset, device)


def step(one: Trainer | PlainLoop, device: torch.device) -> float:
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
