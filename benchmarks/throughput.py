"""Images per second of every recipe: its data alone, its training step alone, and both together.

Settings are those of params.yaml at tier full, with Mixup as the policy; data are synthetic. Images on disk
are JPEGs of ImageNet's usual shape and size in bytes, and those of the cache were JPEGs before the recipe's
first resize; images in memory are noise. A step alone trains on one batch again and again. On a GPU the batch
is the recipe's, or half of it and so on until its memory holds the step; on a CPU, where such steps take
minutes, it is as many images as a step of a few seconds can take, in one shard, and the step is in float32.

Steps alone and steps with data take turns in one process, so that drift of the machine hits both alike.
Printed and written as CSV: medians over rounds (and the slowest and fastest); both/step, the time of a step
with data over that of one without (each to its own round); data/step, the time of a batch alone over that of
a step alone; n, hardware and versions. What data/step says is paid in full where batches are made on the
device that trains; worker processes hide it as long as it stays below 1.

    python benchmarks/throughput.py [--recipe NAME] [--rounds N] [--device cpu|cuda] [--csv FILE]
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import gc
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, count, repeat
from pathlib import Path
from typing import TypeVar

import numpy as np
import PIL.Image
import torch

from dmix.cores import job_cores
from dmix.data.loading.feed import ReadOptions
from dmix.data.loading.loader import Batch
from dmix.data.sets.dataset import AnySplit, Dataset, FileSplit, Split
from dmix.data.sets.image_files import LooseFiles
from dmix.engine.assemble import assemble
from dmix.engine.device import choose_device
from dmix.engine.trainer import Trainer
from dmix.grid.expand import Grid, load_grid
from dmix.grid.spec import RunSpec
from dmix.grid.work import forward_gflop, image_side
from dmix.job import facts

OBJECTIVES = ("mce", "mbce_one")
NETWORKS = {"imagenet": "resnet50"}  # of a recipe's networks, where it is not the first
FILES = 128
BATCHES = 20  # in a data set in memory
GFLOP = 66  # of a forward pass of a CPU's batch; eight images of 224 pixels in ResNet-50
ROUND = 1.0  # seconds, at least
ROUNDS = {"cpu": 3, "cuda": 20}
WARM_UP = {"cpu": 1, "cuda": 10}  # steps: caches, autotuning
# Steps that begin a round, because workers have made batches while none was asked for. A step on a CPU takes
# so much longer than its batch that they always have.
UNTIMED = {"cpu": 0, "cuda": 8}
TIMED = ("data", "step", "both", "test")
COLUMNS = (
    *("recipe", "run", "network", "images", "side", "batch"),
    *(f"{part}_{value}" for part in TIMED for value in ("images_per_second", "slowest", "fastest")),
    *("both_over_step", "both_over_step_lowest", "both_over_step_highest", "data_over_step"),
    *("n", "workers", "device"),
)

Times = dict[str, list[float]]
"""Of each of `TIMED` (data alone, step alone, both, test data alone): seconds of one image in every round."""
Row = dict[str, str | int | float]
Measured = TypeVar("Measured")


def main() -> None:
    """Time every recipe and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, help="default: 3 on a CPU, 20 on a GPU")
    options.add_argument("--workers", type=int, default=job_cores())
    options.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    options.add_argument("--recipe", action="append", metavar="NAME", help="may be given several times")
    options.add_argument("--csv", type=Path)
    given = options.parse_args()
    device = choose_device(given.device)
    rounds = given.rounds or ROUNDS[device.type]
    grid = load_grid("full")
    runs = chosen(grid)
    for recipe in given.recipe or ():
        if recipe not in runs:
            options.error(f"there is no recipe {recipe} with a run to time; choose of {', '.join(runs)}")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        files = write_jpegs(Path(name))
        print_heading(files, device, rounds, given.workers)
        read_options = ReadOptions(given.workers, Path(name) / "cache")
        for recipe in given.recipe or runs:
            spec = fitted(grid, runs[recipe], device)
            title = grid.params.backbones[spec.axes["backbone"]].title
            spec, times = where_it_fits(
                spec, files, read_options, device, lambda trainer: timed(trainer, rounds)
            )
            row = described(recipe, spec, title) | summary(times)
            rows.append(row | {"n": rounds, "workers": given.workers, "device": device.type})
            print_row(rows[-1])
    if given.csv:
        with given.csv.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            writer.writeheader()
            for row in rows:
                writer.writerow({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()})
        print(f"written: {given.csv}")


def chosen(grid: Grid) -> dict[str, str]:
    """Return each supervised recipe's name and the first run that uses it with Mixup and a mixed label."""
    found: dict[str, str] = {}
    for name, spec in grid.runs.items():
        recipe, axes = grid.cells[name].recipe, spec.axes
        if spec.task != "supervised" or grid.missing(name):
            continue
        fits = axes["policy"] == "mixup" and axes["objective"] in OBJECTIVES
        if fits and axes["backbone"] == NETWORKS.get(recipe, axes["backbone"]):
            found.setdefault(recipe, name)
    return found


def fitted(grid: Grid, name: str, device: torch.device) -> RunSpec:
    """Return a run as it is or, on a CPU, in one shard of images that this can train on, in float32."""
    spec = grid.runs[name]
    if device.type == "cuda":
        return spec
    known = grid.params.backbones[spec.axes["backbone"]].forward_gflop
    fits = int(GFLOP / forward_gflop(known, image_side(spec)))
    batch = min(spec.settings["recipe"]["batch_size"], fits)
    return changed(spec, batch_size=batch, shards=1, precision="fp32")


def changed(spec: RunSpec, **recipe: object) -> RunSpec:
    """Return a run with other settings of its recipe."""
    settings = {**spec.settings, "recipe": {**spec.settings["recipe"], **recipe}}
    return dataclasses.replace(spec, settings=settings)


def where(spec: RunSpec) -> str:
    """Return where a run has its images: memory, disk, or the cache of images after their first resize."""
    if "image_size" in spec.settings["dataset"]:  # all have one size
        return "memory"
    return "cache" if spec.settings["augment"].get("shorter_side") else "disk"


def synthetic(spec: RunSpec, files: LooseFiles) -> Dataset:
    """Return a data set in the form of the run's, of two batches or more."""
    rng = np.random.default_rng(0)
    settings, batch = spec.settings["dataset"], spec.settings["recipe"]["batch_size"]
    train: AnySplit
    test: AnySplit
    if where(spec) == "memory":
        shape = (BATCHES * batch, 3, settings["image_size"], settings["image_size"])
        labels = rng.integers(settings["classes"], size=shape[0])
        train = test = Split(rng.integers(256, size=shape, dtype=np.uint8), labels)
    else:
        times = math.ceil(2 * batch / FILES)
        labels = rng.integers(settings["classes"], size=times * FILES)
        train = FileSplit(LooseFiles(files.root, files.names * times), labels)
        test = FileSplit(files, labels[:FILES])
    return Dataset("synthetic", "embedded", settings["classes"], {"train": train, "test": test})


def write_jpegs(folder: Path) -> LooseFiles:
    """Write images with structure on every scale, which compress like photographs."""
    rng = np.random.default_rng(0)
    names = tuple(f"{index:04d}.jpg" for index in range(FILES))
    for index, name in enumerate(names):
        width, height = (500, 375) if index % 2 else (375, 500)
        total = np.zeros((height, width, 3))
        for side in (4, 16, 64, 256):
            cells = rng.normal(0, 60 * side**-0.4, (side, side, 3)) + 128
            image = PIL.Image.fromarray(cells.clip(0, 255).astype(np.uint8))
            total += np.asarray(image.resize((width, height), PIL.Image.Resampling.BICUBIC), float) - 128
        PIL.Image.fromarray((total + 128).clip(0, 255).astype(np.uint8)).save(folder / name, quality=95)
    return LooseFiles(folder, names)


@dataclass
class Feed:
    """A loader for the trainer that gives what `source` gives, whatever the step."""

    steps_per_epoch: int
    source: Callable[[], Batch]

    def batch(self, step: int) -> Batch:
        return self.source()


def where_it_fits(
    spec: RunSpec,
    files: LooseFiles,
    read_options: ReadOptions,
    device: torch.device,
    measure: Callable[[Trainer], Measured],
) -> tuple[RunSpec, Measured]:
    """Return the run, its batch halved until the memory of a GPU holds a step, and what is measured of it."""
    while True:
        try:
            return spec, measure(assemble(spec, synthetic(spec, files), device, read_options))
        except torch.OutOfMemoryError:
            spec = changed(spec, batch_size=spec.settings["recipe"]["batch_size"] // 2)
        gc.collect()  # a trainer is a cycle, and holds the memory that the next one needs


def timed(trainer: Trainer, rounds: int) -> Times:
    """Return seconds of one image in each round."""
    device, loader = trainer.device, trainer.loader
    numbers = count()
    made = Feed(loader.steps_per_epoch, lambda: loader.batch(next(numbers)))
    kept = made.source()
    held = Feed(loader.steps_per_epoch, lambda: kept)
    times: Times = {part: [] for part in TIMED}

    def step(feed: Feed) -> int:
        trainer.loader = feed
        trainer.train_step()
        return len(kept.labels)

    for part, batches in (
        ("data", (len(made.source().labels) for _ in repeat(None))),
        ("test", (len(labels) for _, labels in chain.from_iterable(repeat(trainer.test)))),
    ):
        for _ in range(4):  # processes that start
            next(batches)
        times[part] = [pace(lambda batches=batches: next(batches), device) for _ in range(rounds)]
    for _ in range(WARM_UP[device.type]):
        step(held)
    turns = [("step", held), ("both", made)]
    for _ in range(rounds):
        turns.reverse()
        for part, feed in turns:
            for _ in range(UNTIMED[device.type]):
                step(feed)
            times[part].append(pace(lambda feed=feed: step(feed), device))
    return times


def pace(action: Callable[[], int], device: torch.device) -> float:
    """Do something that returns its number of images for a round, and return the seconds of one image."""
    synchronise(device)
    start, images = time.perf_counter(), 0
    while time.perf_counter() - start < ROUND:
        images += action()
    synchronise(device)
    return (time.perf_counter() - start) / images


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def described(recipe: str, spec: RunSpec, network: str) -> Row:
    """Return the columns that say what is timed."""
    return {
        "recipe": recipe,
        "run": spec.name,
        "network": network,
        "images": where(spec),
        "side": image_side(spec),
        "batch": spec.settings["recipe"]["batch_size"],
    }


def summary(times: Times) -> Row:
    """Return the columns of numbers."""
    row: Row = {}
    for part, seconds in times.items():
        row[f"{part}_images_per_second"] = 1 / statistics.median(seconds)
        row[f"{part}_slowest"], row[f"{part}_fastest"] = 1 / max(seconds), 1 / min(seconds)
    ratios = [both / step for both, step in zip(times["both"], times["step"], strict=True)]
    row["both_over_step"] = statistics.median(ratios)
    row["both_over_step_lowest"], row["both_over_step_highest"] = min(ratios), max(ratios)
    row["data_over_step"] = statistics.median(times["data"]) / statistics.median(times["step"])
    return row


def print_heading(files: LooseFiles, device: torch.device, rounds: int, workers: int) -> None:
    """Print what one must know to read the table, and its first line."""
    hardware = facts.hardware(device)
    print(f"device: {hardware.device}, {hardware.host_cpu}, {torch.get_num_threads()} thread(s)")
    cores, load = job_cores(), os.getloadavg()[0]
    print(f"cores: {cores}, load average {load:.1f} at the start")
    print("versions: " + ", ".join(f"{name} {version}" for name, version in facts.versions().items()))
    size = files.sizes().mean() / 1000
    print(f"on disk: {FILES} JPEGs of 375 x 500 or 500 x 375 pixels, {size:.0f} kB each; {workers} workers")
    if device.type == "cpu":
        print("CPU: the batch is what fits into a step of a few seconds, in one shard and in float32")
    print(f"images per second, median; both/step: median (lowest to highest); n = {rounds} rounds\n")
    print(
        f"{'recipe':<13}{'network':<11}{'images':<8}{'px':>4}{'batch':>6}{'data':>10}{'step':>9}{'both':>9}"
        f"{'both/step':>11}{'':<18}{'data/step':>9}{'test data':>11}"
    )


def print_row(row: Row) -> None:
    """Print a recipe's line of the table."""
    rates = "{data_images_per_second:>10.0f}{step_images_per_second:>9.1f}{both_images_per_second:>9.1f}"
    spread = "({both_over_step_lowest:.3f} to {both_over_step_highest:.3f})"
    print(
        "{recipe:<13}{network:<11}{images:<8}{side:>4}{batch:>6}".format(**row)
        + rates.format(**row)
        + f"{row['both_over_step']:>11.3f} {spread.format(**row):<17}"
        + "{data_over_step:>9.2%}{test_images_per_second:>11.0f}".format(**row),
        flush=True,
    )


if __name__ == "__main__":
    main()
