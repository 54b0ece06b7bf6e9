"""Images per second of FixMatch: augmented in batches on the device, and by Pillow in worker processes.

A step takes 64 labelled images in the weak view and 448 unlabelled ones in the weak and in the strong view:
960 images of CIFAR's size, here noise. One feed is the product's own. The other is what published code has:
images one by one through Pillow, in as many worker processes as there are cores, by torch's DataLoader, which
works ahead and, for a GPU, pins its batches. Both make the same bits of the same draws; before anything is
timed, that is checked. In Pillow's favour, its workers send bytes, normalised on the device like those of the
other feed, where published code sends float32, four times as much.

The feeds take turns in one process, in a shuffled order per round, so that drift of the machine hits both
alike. Workers live for one turn, so that none is at work while the other feed is timed; their start, and the
batches that they have ready by then, are not timed.

On a GPU the step is the run's. On a CPU, where it would take a minute, network and batch are smaller, and the
ratio of the steps says little: there the same cores train and augment.

Printed and written as CSV: medians over rounds (and the slowest and fastest) of whole steps and of their
augmentation alone, which in Pillow's case is that of one core; the ratio to Pillow in the same round; the
share of a step that augmentation on the device takes; n, hardware and versions.

    python benchmarks/fixmatch_throughput.py [--rounds N] [--workers N] [--device cpu|cuda] [--csv FILE]
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from throughput import UNTIMED, Feed, pace

from dmix.cores import job_cores
from dmix.data.loading import epochs
from dmix.data.loading.loader import Normaliser
from dmix.data.loading.sampling import WithReplacement
from dmix.data.loading.two_streams import TwoStreamBatch, Views
from dmix.data.loading.workers import parallel_map
from dmix.data.send import to_device
from dmix.data.sets.dataset import Dataset, Split
from dmix.engine.assemble import assemble
from dmix.engine.device import choose_device
from dmix.engine.parts import load_labels, load_part
from dmix.engine.seeding import derive
from dmix.engine.trainer import Trainer
from dmix.grid.expand import load_grid
from dmix.grid.spec import RunSpec
from dmix.job import facts

# Pillow does here what tests/data/test_strong.py holds the batched version against
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/helpers"))
import strong_reference as reference

RUN = "semi/fixmatch/cifar10/wrn28_2/vanilla/ce/count=250/s0"
IMAGES, SIDE = 50_000, 32
# What a device changes: the network's settings, and the recipe's.
SETUPS: Mapping[str, tuple[str, Mapping[str, int], Mapping[str, int]]] = {
    "cpu": ("WRN-10-1", {"depth": 10, "widen": 1}, {"batch_size": 16}),
    "cuda": ("WRN-28-2", {}, {}),
}
AHEAD = 2  # batches that each worker has done before they are asked for
ROUNDS = {"cpu": 7, "cuda": 20}
WARM_UP = {"cpu": 1, "cuda": 10}  # steps: caches, autotuning
STEP, AUGMENTATION = "step", "augmentation"
DEVICE, PILLOW = "device", "pillow"
TARGET = 5  # of the ratio of steps, on a GPU
COLUMNS = (
    *("setup", "images", "part", "feed", "milliseconds", "images_per_second", "slowest", "fastest"),
    *("ratio", "ratio_lowest", "ratio_highest", "share_of_step", "n", "workers", "device"),
)

Times = dict[tuple[str, str], list[float]]
"""Of a part and a feed: seconds of one image in every round."""
Row = dict[str, str | int | float]


def main() -> None:
    """Time both feeds and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, help="default: 7 on a CPU, 20 on a GPU")
    options.add_argument("--workers", type=int, default=job_cores())
    options.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    options.add_argument("--csv", type=Path)
    given = options.parse_args()
    device = choose_device(given.device)
    rounds = given.rounds or ROUNDS[device.type]
    spec = fitted(load_grid("full").runs[RUN], device)
    data = synthetic(spec, IMAGES)
    trainer, by_pillow = assemble(spec, data, device), PillowFeed(spec, data, device)
    check(trainer.loader.batch(0), by_pillow.batch(0))
    print_heading(by_pillow.sizes, device, rounds, given.workers)
    times = timed(trainer, by_pillow, rounds, given.workers)
    rows = [
        row | {"setup": SETUPS[device.type][0], "n": rounds, "workers": given.workers, "device": device.type}
        for row in summary(times, sum(by_pillow.sizes))
    ]
    print_rows(rows)
    if given.csv:
        with given.csv.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            writer.writeheader()
            for row in rows:
                writer.writerow({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()})
        print(f"written: {given.csv}")


def fitted(spec: RunSpec, device: torch.device) -> RunSpec:
    """Return a run as it is or, on a CPU, with a network and a batch that this can train on."""
    _, network, recipe = SETUPS[device.type]
    changes = {"backbone": network, "recipe": recipe}
    settings = {section: {**spec.settings[section], **changed} for section, changed in changes.items()}
    return replace(spec, settings={**spec.settings, **settings})


def synthetic(spec: RunSpec, images: int) -> Dataset:
    """Return noise in the form of the run's data set, equally many images of each class."""
    classes = spec.settings["dataset"]["classes"]
    pixels = np.random.default_rng(0).integers(256, size=(images, 3, SIDE, SIDE), dtype=np.uint8)
    train = Split(pixels, np.arange(images) % classes)
    test = Split(pixels[:classes], train.labels[:classes])
    return Dataset("noise", "embedded", classes, {"train": train, "test": test})


@dataclass(frozen=True)
class Stream:
    """Which images a step has, the seed of their views, and the section of the settings of each view."""

    sampler: WithReplacement
    seed: int
    views: tuple[str, ...]


class PillowFeed:
    """The run's steps as its own loader gives them, but made image by image with Pillow.

    Attributes
    ----------
    sizes: how many images of each stream and view a step has, in the order of all that follows.
    """

    def __init__(self, spec: RunSpec, dataset: Dataset, device: torch.device) -> None:
        recipe, train = spec.settings["recipe"], dataset.splits["train"]
        labels = load_labels(spec, dataset)
        assert isinstance(train, Split)
        assert labels is not None
        rows, many = recipe["batch_size"], recipe["batch_size"] * recipe["unlabelled_ratio"]
        self.sizes = [rows, many, many]
        self._streams = [
            Stream(WithReplacement(there, size, seed), seed, views)
            for there, size, seed, views in (
                (labels.labelled, rows, derive(spec.seed, "labelled"), ("augment",)),
                (labels.unlabelled, many, derive(spec.seed, "unlabelled"), ("augment", "strong")),
            )
        ]
        self._sections = {section: spec.settings[section] for section in ("augment", "strong")}
        self._augments = {section: load_part(section, own) for section, own in self._sections.items()}
        self._pictures = np.ascontiguousarray(train.images.transpose(0, 2, 3, 1))
        self._labels = torch.from_numpy(train.labels).to(device)
        self._normalise = Normaliser(recipe["mean"], recipe["std"], device)
        self._device = device

    def batch(self, step: int) -> TwoStreamBatch:
        """Return a step, made in this process."""
        return self._sent(step, self.make(step))

    def make(self, step: int) -> torch.Tensor:
        """Return all images of a step, uint8 (N, H, W, 3). This is the work of a process."""
        made = []
        for stream in self._streams:
            index = stream.sampler(step).index
            for view, section in enumerate(stream.views):
                rng = epochs.batch_view_rng(stream.seed, step, view)
                draws = self._augments[section].draw(len(index), (SIDE, SIDE), rng)
                pairs = zip(self._pictures[index], draws, strict=True)
                made += [augmented(picture, row, self._sections[section]) for picture, row in pairs]
        return torch.from_numpy(np.stack(made))

    @contextmanager
    def started(self, workers: int) -> Iterator[Callable[[], TwoStreamBatch]]:
        """Give what returns one step after the other, made ahead by processes that end with the context."""
        pin = self._device.type == "cuda"
        with closing(
            parallel_map(self.make, itertools.count(), workers=workers, ahead=AHEAD * workers, pin=pin)
        ) as made:
            steps = (self._sent(step, images) for step, images in enumerate(made))
            yield lambda: next(steps)

    def _sent(self, step: int, images: torch.Tensor) -> TwoStreamBatch:
        """Send images to the device and give them the form of a step."""
        there = self._normalise(images.to(self._device, non_blocking=True).permute(0, 3, 1, 2))
        views = iter(there.split(self.sizes))
        streams = []
        for stream in self._streams:
            index = to_device(stream.sampler(step).index, self._device)
            streams.append(Views(tuple(next(views) for _ in stream.views), self._labels[index], index))
        return TwoStreamBatch(*streams)


def augmented(picture: np.ndarray, row: np.ndarray, settings: Mapping[str, object]) -> np.ndarray:
    """Augment one image by its draws, as the part that `settings` are of."""
    padding = settings["padding"]
    if settings["use"] == "strong":
        return reference.strong(picture, row, settings["operations"], padding)
    return reference.crop_flip(picture, padding, *row.tolist())


def check(mine: TwoStreamBatch, other: TwoStreamBatch) -> None:
    """Compare two steps.

    Raises
    ------
    AssertionError: they differ in a pixel, a label or an index.
    """
    torch.testing.assert_close(mine.labelled.labels, other.labelled.labels)
    for ours, theirs in ((mine.labelled, other.labelled), (mine.unlabelled, other.unlabelled)):
        assert len(ours.images) == len(theirs.images)
        pairs = zip(ours.images, theirs.images, strict=True)
        for one, another in [*pairs, (ours.index, theirs.index)]:
            torch.testing.assert_close(one, another, rtol=0, atol=0)


def timed(trainer: Trainer, by_pillow: PillowFeed, rounds: int, workers: int) -> Times:
    """Return seconds of one image in each round, of steps with either feed and of the feeds' own work."""
    device, own, images = trainer.device, trainer.loader, sum(by_pillow.sizes)
    numbers = itertools.count()

    def step() -> int:
        trainer.train_step()
        return images

    def one_batch(make: Callable[[int], object]) -> int:
        make(next(numbers))
        return images

    def steps_by_device() -> float:
        trainer.loader = own
        for _ in range(UNTIMED[device.type]):
            step()
        return pace(step, device)

    def steps_by_pillow() -> float:
        with by_pillow.started(workers) as following:
            trainer.loader = Feed(own.steps_per_epoch, following)
            for _ in range(AHEAD * workers):
                step()
            return pace(step, device)

    turns: dict[tuple[str, str], Callable[[], float]] = {
        (STEP, DEVICE): steps_by_device,
        (STEP, PILLOW): steps_by_pillow,
        (AUGMENTATION, DEVICE): lambda: pace(lambda: one_batch(own.batch), device),
        (AUGMENTATION, PILLOW): lambda: pace(lambda: one_batch(by_pillow.make), device),
    }
    for _ in range(WARM_UP[device.type]):
        step()
    times: Times = {turn: [] for turn in turns}
    order, shuffle = list(turns), random.Random(0).shuffle
    for _ in range(rounds):
        shuffle(order)
        for turn in order:
            times[turn].append(turns[turn]())
    return times


def summary(times: Times, images: int) -> list[Row]:
    """Return a row of columns for each part and feed; `images` of a step."""
    rows: list[Row] = []
    for (part, feed), seconds in times.items():
        middle = statistics.median(seconds)
        ratios = [theirs / own for own, theirs in zip(seconds, times[part, PILLOW], strict=True)]
        shares = [own / step for own, step in zip(seconds, times[STEP, DEVICE], strict=True)]
        row: Row = {"images": images, "part": part, "feed": feed, "milliseconds": 1e3 * images * middle}
        row |= {"images_per_second": 1 / middle, "slowest": 1 / max(seconds), "fastest": 1 / min(seconds)}
        row |= {"ratio": statistics.median(ratios)}
        row |= {"ratio_lowest": min(ratios), "ratio_highest": max(ratios)}
        of_device = (part, feed) == (AUGMENTATION, DEVICE)
        rows.append(row | {"share_of_step": statistics.median(shares) if of_device else ""})
    return rows


def print_heading(sizes: list[int], device: torch.device, rounds: int, workers: int) -> None:
    """Print what one must know to read the table, and its first line."""
    hardware = facts.hardware(device)
    print(f"device: {hardware.device}, {hardware.host_cpu}, {torch.get_num_threads()} thread(s)")
    cores, load = job_cores(), os.getloadavg()[0]
    print(f"cores: {cores}, load average {load:.1f} at the start")
    print("versions: " + ", ".join(f"{name} {version}" for name, version in facts.versions().items()))
    labelled, weak, strong = sizes
    print(
        f"{SETUPS[device.type][0]}, {SIDE} px, {labelled} labelled + {weak} weak + {strong} strong images; "
        f"Pillow in {workers} worker process(es), alone in one"
    )
    if device.type == "cpu":
        print("CPU: network and batch are smaller than the run's, which are WRN-28-2 and 64 + 448 + 448")
    print(f"images per second; ratio to Pillow: median (lowest to highest); n = {rounds} rounds\n")
    print(f"{'part':<14}{'feed':<8}{'ms':>9}{'images/s':>11}  {'slowest to fastest':<22}{'ratio to Pillow'}")


def print_rows(rows: list[Row]) -> None:
    """Print the table, and what is looked for in it."""
    for row in rows:
        spread = "{slowest:.0f} to {fastest:.0f}".format(**row)
        print(
            "{part:<14}{feed:<8}{milliseconds:>9.1f}{images_per_second:>11.0f}".format(**row)
            + f"  {spread:<22}"
            + "{ratio:.2f} ({ratio_lowest:.2f} to {ratio_highest:.2f})".format(**row)
        )
    found = {(row["part"], row["feed"]): row for row in rows}
    step, augmentation = found[STEP, DEVICE], found[AUGMENTATION, DEVICE]
    core = "a core" if step["device"] == "cpu" else "the GPU"
    print()
    print(f"steps, device over Pillow: {step['ratio']:.2f} (wanted on a GPU: {TARGET} or more)")
    print(f"augmentation's share of a step on the device: {augmentation['share_of_step']:.1%}")
    print(f"augmentation, {core} over a core with Pillow: {augmentation['ratio']:.2f}")


if __name__ == "__main__":
    main()
