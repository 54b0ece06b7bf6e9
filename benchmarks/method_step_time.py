"""Time of a training step of every transfer method, bare and with mixed batches, over that of Fine-Tuning.

All methods live in one process and take turns, one step each in a shuffled order per round, so that drift of
the machine hits all alike. Printed and written as CSV: median step time, the median over rounds of the ratio
to bare Fine-Tuning (each to its own round), the algorithmic floor (forward passes, a backward counting two,
over Fine-Tuning's) and, for DM, the ratio to the same method with Mixup. Batches are noise that is already on
the device: loading is not timed here (throughput.py), and neither are readings.

    python benchmarks/method_step_time.py [--rounds N] [--device cpu|cuda] [--csv FILE]
"""

from __future__ import annotations

import argparse
import csv
import random
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from step_time import step

from dmix.data.loading.two_streams import TwoStreamBatch, Views
from dmix.data.sets.dataset import Dataset, Split
from dmix.engine import assemble as assembling
from dmix.engine.assemble import Given
from dmix.engine.device import choose_device
from dmix.engine.parts import load_part
from dmix.engine.trainer import Trainer
from dmix.grid.expand import Grid, load_grid
from dmix.grid.spec import RunSpec
from dmix.job import facts

CLASSES, SOURCES = 200, 1000
SETUPS: Mapping[str, tuple[str, Mapping[str, object], int]] = {
    "cpu": ("ResNet-50 of width 16, 64 px", {"width": 16, "group_width": 16}, 64),
    "cuda": ("ResNet-50, 224 px", {}, 224),
}
ADD_ONS = ("", "mce", "dm_ce")
REFERENCE = ("fine_tuning", "")
COLUMNS = ("setup", "method", "add_on", "milliseconds", "ratio", "ratio_low", "ratio_high", "floor", "n")


class Noise:
    """Both streams' samples of every step: always the same ones, on the device."""

    steps_per_epoch = 0

    def __init__(self, batch_size: int, side: int, device: torch.device) -> None:
        drawn = torch.Generator(device).manual_seed(0)

        def views() -> Views:
            shape = (batch_size, 3, side, side)
            images = [
                torch.randn(shape, device=device, generator=drawn).to(memory_format=torch.channels_last)
                for _ in range(2)
            ]
            labels = torch.randint(CLASSES, (batch_size,), device=device, generator=drawn)
            return Views(tuple(images), labels, torch.arange(batch_size, device=device))

        self._batch = TwoStreamBatch(views(), views())
        self.images_per_step = 2 * batch_size

    def batch(self, step: int) -> TwoStreamBatch:
        """Return the samples, whatever the step."""
        del step
        return self._batch


def main() -> None:
    """Time every method and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    options.add_argument("--csv", type=Path)
    given = options.parse_args()
    device = choose_device(given.device)
    hardware = facts.hardware(device)
    print(f"device: {hardware.device}, {hardware.host_cpu}, {torch.get_num_threads()} thread(s)")
    print("versions: " + ", ".join(f"{name} {version}" for name, version in facts.versions().items()))
    rows = measure(load_grid("full"), device, given.rounds)
    if given.csv:
        with given.csv.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        print(f"written: {given.csv}")


def measure(grid: Grid, device: torch.device, rounds: int) -> list[dict[str, str]]:
    """Time all methods in the device's setup, print a line for each and return them as rows."""
    setup, changes, side = SETUPS[device.type]
    trainers = {key: trainer(spec, changes, side, device) for key, spec in specs(grid).items()}
    for one in trainers.values():
        for _ in range(3):  # caches, autotuning
            step(one, device)
    times: dict[tuple[str, str], list[float]] = {key: [] for key in trainers}
    order, shuffle = list(trainers), random.Random(0).shuffle
    for _ in range(rounds):
        shuffle(order)
        for key in order:
            times[key].append(step(trainers[key], device))
    print(f"\n{setup}, 24 + 24 images; n = {rounds} rounds; ratio: median (10 % to 90 %) over rounds")
    print(f"{'method':<14}{'add-on':<9}{'ms':>9}{'ratio':>8}   {'spread':<14}{'floor':>7}{'DM/Mixup':>10}")
    found = []
    for method, add_on in trainers:
        own = times[method, add_on]
        ratio = [a / b for a, b in zip(own, times[REFERENCE], strict=True)]
        low, high = np.quantile(ratio, [0.1, 0.9])
        values = (
            *(setup, method, add_on, statistics.median(own) * 1e3, statistics.median(ratio), low, high),
            *(floor(grid, method, add_on), rounds),
        )
        over = [a / b for a, b in zip(own, times.get((method, "mce"), own), strict=True)]
        print(
            f"{method:<14}{add_on or '-':<9}{values[3]:>9.1f}{values[4]:>8.2f}   {low:.2f}-{high:<9.2f}"
            f"{values[7]:>7.2f}" + (f"{statistics.median(over):>10.3f}" if add_on == "dm_ce" else "")
        )
        shown = (f"{value:.4f}" if isinstance(value, float) else str(value) for value in values)
        found.append(dict(zip(COLUMNS, shown, strict=True)))
    return found


def specs(grid: Grid) -> Mapping[tuple[str, str], RunSpec]:
    """Return (method, add-on) -> a run, also of the combinations that the paper's tables leave out."""
    prefix = {
        "": "transfer/{}/cub/resnet50/vanilla/ce/percent=50/s0",
        "dm_ce": "transfer/{}/cub/resnet50/mixup/dm_ce/percent=50/s0",
    }
    methods = [name for name, entry in grid.params.methods.items() if entry.task == "transfer"]
    mixed = grid.runs[prefix["dm_ce"].format("self_tuning")]
    found = {}
    for method in methods:
        bare = grid.runs[prefix[""].format(method)]
        found[method, ""] = bare
        for add_on, eta in (("mce", {"use": "mce"}), ("dm_ce", mixed.settings["objective"])):
            sections = ("policy", "addon")
            settings = {**bare.settings, **{section: mixed.settings[section] for section in sections}}
            found[method, add_on] = replace(bare, settings={**settings, "objective": eta})
    return found


def floor(grid: Grid, method: str, add_on: str) -> float:
    """Return the forward passes of a step over those of bare Fine-Tuning."""
    entry, reference = grid.params.methods[method], grid.params.methods[REFERENCE[0]]
    return (entry.passes + (entry.addon_passes if add_on else 0)) / reference.passes


def trainer(spec: RunSpec, changes: Mapping[str, object], side: int, device: torch.device) -> Trainer:
    """Return the trainer of a run on noise, with a network of another size and made-up sources."""
    recipe = {**spec.settings["recipe"], "steps": 1_000_000}
    backbone = {**spec.settings["backbone"], **changes}
    labels = {"use": "balanced", "count": CLASSES}  # any will do: no batch is made of them
    settings = {**spec.settings, "recipe": recipe, "backbone": backbone, "labels": labels}
    settings |= {"augment": {"use": "identity"}, "view": {"use": "unchanged"}}
    settings["dataset"] = {**spec.settings["dataset"], "image_size": side}
    split = Split(np.zeros((CLASSES, 3, side, side), np.uint8), np.arange(CLASSES))
    dataset = Dataset("noise", "embedded", CLASSES, {"train": split, "test": split})
    with tempfile.TemporaryDirectory() as folder:
        # a network to start from, as if one of our runs had trained it
        network = load_part("backbone", backbone, SOURCES)
        given = Given(Path(folder, "weights.safetensors"), Path(folder, "relationship.safetensors"))
        state = {f"model.{name}": value.contiguous() for name, value in network.state_dict().items()}
        safetensors.torch.save_file(state, given.weights)
        matrix = torch.full((CLASSES, SOURCES), 1 / SOURCES, dtype=torch.float64)
        safetensors.torch.save_file({"relationship": matrix}, given.relation)
        of_a_run = replace(spec, settings=settings, source=spec)
        made = assembling.assemble(of_a_run, dataset, device, given=given)
    made.loader = Noise(recipe["batch_size"], side, device)
    return made


if __name__ == "__main__":
    main()
