"""Images per second of the strong augmentation: a batch at once against Pillow, one image at a time.

Both make the same bits of the same draws; before anything is timed, that is checked. Images are noise of
CIFAR's size; a batch is what FixMatch augments in a step. Pillow is timed as the worker of a loader would use
it, from an array to an array, on one core, and the batched version on one core too, and on the GPU if that is
the device. The ways take turns, so that drift of the machine hits all alike.

Printed and written as CSV: medians over rounds, and the slowest and fastest; the ratio to Pillow of the same
round; n, hardware and versions.

    python benchmarks/strong_augmentation.py [--batch N] [--rounds N] [--seconds S] [--device cpu|cuda]
        [--csv FILE]
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from dmix.cores import job_cores
from dmix.data.augment.strong import StrongCrop
from dmix.engine.device import choose_device
from dmix.job import facts

# what is timed is what tests/data/test_strong.py holds the batched version against
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/helpers"))
import strong_reference as reference

SIDE = 32
SETTINGS = {"operations": 3, "cutout": 0.5, "padding": 4, "flip": 0.5}
PILLOW, BATCHED = "pillow", "batched"
COLUMNS = (
    *("way", "side", "batch", "images_per_second", "slowest", "fastest"),
    *("ratio", "ratio_lowest", "ratio_highest", "n"),
)


def main() -> None:
    """Time every way and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--batch", type=int, default=448, help="images in a batch")
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--seconds", type=float, default=0.5, help="of a way in a round, at least")
    options.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    options.add_argument("--csv", type=Path)
    given = options.parse_args()
    torch.set_num_threads(1)
    chosen = choose_device(given.device)
    devices = [torch.device("cpu"), *([chosen] if chosen.type == "cuda" else [])]
    for device in devices:
        hardware = facts.hardware(device)
        print(f"device: {hardware.device}, {hardware.host_cpu}, {hardware.threads} thread(s)")
    cores, load = job_cores(), os.getloadavg()[0]
    print(f"cores: {cores}, load average {load:.1f} at the start")
    print("versions: " + ", ".join(f"{name} {version}" for name, version in facts.versions().items()))
    print(f"images per second, batches of {given.batch}, {SIDE} px; n = {given.rounds} rounds\n")
    print(f"{'way':<14}{'median':>9}  {'slowest to fastest':<21}{'ratio to Pillow'}")
    rates = timed(ways(given.batch, devices), given.batch, given.rounds, given.seconds)
    rows = summary(rates)
    for row in rows:
        spread = "{slowest:.0f} to {fastest:.0f}".format(**row)
        ratio = "{ratio:.2f} ({ratio_lowest:.2f} to {ratio_highest:.2f})".format(**row)
        print("{way:<14}{images_per_second:>9.0f}".format(**row) + f"  {spread:<21}{ratio}")
    if given.csv:
        with given.csv.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            writer.writeheader()
            for row in rows:
                rounded = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
                writer.writerow(rounded | {"side": SIDE, "batch": given.batch, "n": given.rounds})
        print(f"written: {given.csv}")


def summary(rates: dict[str, list[float]]) -> list[dict[str, str | float]]:
    """Return a row of numbers for each way, Pillow's first."""
    rows: list[dict[str, str | float]] = []
    for name, rate in rates.items():
        ratios = [mine / pillow for mine, pillow in zip(rate, rates[PILLOW], strict=True)]
        row: dict[str, str | float] = {"way": name, "images_per_second": statistics.median(rate)}
        row |= {"slowest": min(rate), "fastest": max(rate), "ratio": statistics.median(ratios)}
        rows.append(row | {"ratio_lowest": min(ratios), "ratio_highest": max(ratios)})
    return rows


def ways(n: int, devices: list[torch.device]) -> dict[str, Callable[[], None]]:
    """Return what augments one batch and has finished when it returns, by name.

    Raises
    ------
    AssertionError: two ways differ in a pixel.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, 3, SIDE, SIDE), np.uint8)
    augment = StrongCrop(**SETTINGS)
    draws = augment.draw(n, (SIDE, SIDE), rng)
    pictures = np.ascontiguousarray(images.transpose(0, 2, 3, 1))

    def one_by_one() -> np.ndarray:
        made = [
            reference.strong(picture, row, SETTINGS["operations"], SETTINGS["padding"])
            for picture, row in zip(pictures, draws, strict=True)
        ]
        return np.stack(made)

    expected = one_by_one().transpose(0, 3, 1, 2)
    found: dict[str, Callable[[], None]] = {PILLOW: one_by_one}
    for device in devices:
        there = torch.from_numpy(images).to(device), torch.from_numpy(draws).to(device)

        def at_once(there: tuple[torch.Tensor, torch.Tensor] = there) -> torch.Tensor:
            made = augment.apply(*there)
            if made.is_cuda:
                torch.cuda.synchronize()
            return made

        np.testing.assert_array_equal(at_once().cpu().numpy(), expected)
        found[f"{BATCHED}, {device.type}"] = at_once
    return found


def timed(
    actions: dict[str, Callable[[], object]], n: int, rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Return each way's images per second in every round."""
    rates: dict[str, list[float]] = {name: [] for name in actions}
    for action in actions.values():
        action()  # caches, the device's memory
    for _ in range(rounds):
        for name, action in actions.items():
            start, batches = time.perf_counter(), 0
            while (passed := time.perf_counter() - start) < seconds or not batches:
                action()
                batches += 1
            rates[name].append(batches * n / passed)
    return rates


if __name__ == "__main__":
    main()
