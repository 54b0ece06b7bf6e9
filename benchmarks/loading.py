"""Images per second of data alone: decoding, augmentation and normalisation of every recipe, no model.

Images on disk are synthetic JPEGs of ImageNet's usual shape and size in bytes; images in memory are noise,
on the device. After a warm-up, batches are timed in rounds; printed and written as CSV: median over rounds
(and the slowest and fastest), hardware, versions and n.

    python benchmarks/loading.py [--workers N] [--rounds N] [--device cpu|cuda] [--csv FILE]
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import chain, count, cycle, islice, repeat
from pathlib import Path

import numpy as np
import PIL.Image
import torch

from dmix.data.augment.contract import Augment, ImageAugment
from dmix.data.augment.crop_flip import CropFlip
from dmix.data.augment.rand_augment import RandAugment
from dmix.data.augment.random_resized_crop import RandomResizedCrop
from dmix.data.dataset import AnySplit, FileSplit, Split
from dmix.data.evaluate.contract import View
from dmix.data.evaluate.resize_crop import ResizeCrop
from dmix.data.feed import Reading, evaluation, train_loader
from dmix.data.image_files import LooseFiles
from dmix.engine.device import choose_device
from dmix.job import facts

FILES, TIMES = 256, 16  # files, and how often each is in the data set
ON_DISK, IN_MEMORY = 64, 100  # batch sizes
FEED = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CROP = {"scale": (0.08, 1.0), "interpolation": "bicubic", "flip": 0.5}
FINE = RandomResizedCrop(size=224, scale=(0.5, 1.0), interpolation="bilinear", flip=0.5, shorter_side=256)
RANDAUGMENT = {"operations": 2, "magnitude_std": 0.5, **CROP}
COLUMNS = ("part", "where", "images_per_second", "slowest", "fastest", "n", "workers", "device")

Step = Callable[[], int]
"""One step of something, returning its number of images."""


def main() -> None:
    """Time every recipe's data and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    options.add_argument("--csv", type=Path)
    given = options.parse_args()
    device = choose_device(given.device)
    hardware = facts.hardware(device)
    print(f"device: {hardware.device}, {hardware.host_cpu}, {given.workers} worker processes")
    versions = {**facts.versions(), "pillow": PIL.__version__}
    print("versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()))
    print(f"n = {given.rounds} rounds; median (slowest to fastest) images per second")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        files = jpegs(Path(name))
        size = files.files.sizes().mean() / 1000
        print(f"on disk: {FILES} JPEGs of 375 x 500 or 500 x 375 pixels, {size:.0f} kB each, {TIMES} times")
        reading = Reading(given.workers)
        for part, where, step in [
            ("decoding alone", "this process", decoding(files)),
            *streams(files, reading, Reading(given.workers, Path(name) / "cache"), device),
            *residents(device),
        ]:
            low, middle, high = speed(step, given.rounds, device)
            print(f"{part:<34}{where:<16}{middle:>10.0f}   ({low:.0f} to {high:.0f})")
            numbers = (f"{middle:.1f}", f"{low:.1f}", f"{high:.1f}", given.rounds)
            rows.append(dict(zip(COLUMNS, (part, where, *numbers, given.workers, device.type), strict=True)))
    if given.csv:
        with given.csv.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        print(f"written: {given.csv}")


def jpegs(folder: Path) -> FileSplit:
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
    return FileSplit(LooseFiles(folder, names * TIMES), np.zeros(FILES * TIMES, np.int64))


def decoding(files: FileSplit) -> Step:
    indices = cycle(range(FILES))
    return lambda: sum(files.image(index).ndim > 0 for index in islice(indices, ON_DISK))


def streams(
    files: FileSplit, reading: Reading, kept: Reading, device: torch.device
) -> Iterator[tuple[str, str, Step]]:
    """Yield what reads images from disk; each is made when its turn comes, and dropped after it."""
    for part, augment in (
        ("ImageNet, PyTorch", RandomResizedCrop(size=224, **CROP)),
        ("ImageNet, DeiT and Swin", RandAugment(size=224, magnitude=9, erasing=0.25, **RANDAUGMENT)),
        ("ImageNet, RSB A3", RandAugment(size=160, magnitude=6, **RANDAUGMENT)),
        ("fine-grained", FINE),
    ):
        yield part, "disk", training(files, augment, reading, device)
    start = time.perf_counter()
    step = training(files, FINE, kept, device)
    print(f"resized images of {FILES * TIMES} files kept in {time.perf_counter() - start:.1f} s")
    yield "fine-grained, resized once", "disk", step
    for part, interpolation, how in (
        ("test, ImageNet", "bicubic", reading),
        ("test, fine-grained", "bilinear", reading),
        ("test, fine-grained, resized once", "bilinear", kept),
    ):
        view = ResizeCrop(shorter_side=256, size=224, interpolation=interpolation)
        yield part, "disk", testing(files, view, how, device)


def residents(device: torch.device) -> Iterator[tuple[str, str, Step]]:
    """Yield what has its images on the device."""
    rng = np.random.default_rng(0)
    for part, side, augment in (
        ("CIFAR: pad-crop-flip", 32, CropFlip(padding=4, flip=0.5)),
        ("Tiny-ImageNet: resized crop", 64, RandomResizedCrop(size=64, **CROP)),
    ):
        images = rng.integers(0, 256, (20 * IN_MEMORY, 3, side, side), np.uint8)
        split = Split(images, np.zeros(len(images), np.int64))
        yield part, device.type, training(split, augment, Reading(), device)


def training(
    split: AnySplit, augment: Augment | ImageAugment, reading: Reading, device: torch.device
) -> Step:
    """Return the making of one training batch after the other."""
    batch_size = IN_MEMORY if isinstance(split, Split) else ON_DISK
    loader = train_loader(split, augment, reading, batch_size=batch_size, seed=0, device=device, **FEED)
    steps = count()
    return lambda: len(loader.batch(next(steps)).labels)


def testing(split: AnySplit, view: View, reading: Reading, device: torch.device) -> Step:
    """Return the making of one test batch after the other."""
    source = evaluation(split, view, reading, batch_size=ON_DISK, device=device, **FEED)
    batches = chain.from_iterable(repeat(source))
    return lambda: len(next(batches)[1])


def speed(step: Step, rounds: int, device: torch.device) -> tuple[float, float, float]:
    """Return images per second of the slowest, the median and the fastest round of two seconds."""
    for _ in range(4):
        step()
    found = []
    for _ in range(rounds):
        if device.type == "cuda":
            torch.cuda.synchronize()
        start, images = time.perf_counter(), 0
        while time.perf_counter() - start < 2:
            images += step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        found.append(images / (time.perf_counter() - start))
    return min(found), statistics.median(found), max(found)


if __name__ == "__main__":
    main()
