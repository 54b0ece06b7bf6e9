"""Time of a training step of every recipe over its roofline: what its operations or its bytes take at best.

The runs, their batches and data are those of throughput.py, in one shard; a step trains on one batch again
and again. Operations are those of convolutions, matrix products and attention, a multiplication and an
addition counting two, by the formulas of torch's counter. Bytes are those of the tensors that each operation
reads and writes; views move none.

The floor is the greater of operations over the device's peak and bytes over its bandwidth, where the peak
is the best rate of large matrix products and convolutions in the precision of the step, and the bandwidth
that of a large copy, both measured in this process. Beside it stands the time of the operations *in turn*:
the sum of each one's own floor, which only fused operations can beat. What stays in a cache between two
operations is not read from memory, so bytes are an upper bound where tensors are small.

Printed and written as CSV: these, the median step time and its ratio to the floor (lowest to highest), and n.

    python benchmarks/roofline.py [--recipe NAME] [--rounds N] [--device cpu|cuda] [--csv FILE]
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from step_time import step
from throughput import (
    WARM_UP,
    Feed,
    changed,
    chosen,
    described,
    fitted,
    synchronise,
    where_it_fits,
    write_jpegs,
)
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from dmix.cores import job_cores
from dmix.data.loading.feed import ReadOptions
from dmix.engine.device import choose_device
from dmix.engine.precision import HALF, allow_tf32
from dmix.engine.trainer import Trainer
from dmix.grid.expand import load_grid
from dmix.job import facts

aten = torch.ops.aten
# torch's counter has no formulas of attention on a CPU.
OPERATIONS: Mapping[Any, Callable[..., int]] = {
    **flop_registry,
    aten._scaled_dot_product_flash_attention_for_cpu: flop_registry[aten._scaled_dot_product_flash_attention],
    aten._scaled_dot_product_flash_attention_for_cpu_backward: flop_registry[
        aten._scaled_dot_product_flash_attention_backward
    ],
}
# Neither read nor write: a view without the form of one, and memory that is not filled.
IDLE = (
    aten._unsafe_view,
    aten.empty,
    aten.empty_like,
    aten.empty_strided,
    aten.new_empty,
    aten.new_empty_strided,
)
OVERWRITING = (aten.copy_, aten.fill_, aten.zero_)  # which do not read what they change
ROUNDS = {"cpu": 5, "cuda": 20}
# Sides of matrices; (images, channels, side) of convolutions, 3 x 3; bytes of a copy.
MATRICES = {"cpu": (1024, 2048), "cuda": (4096, 8192)}
CONVOLUTIONS = {"cpu": ((16, 128, 28), (16, 256, 14)), "cuda": ((256, 256, 28), (256, 512, 14))}
COPIED = {"cpu": 2**28, "cuda": 2**31}
PEAK_SECONDS = 2.0  # of trials of each
COLUMNS = (
    *("recipe", "run", "network", "images", "side", "batch", "precision", "gflop", "gbyte"),
    *("peak_gflop_per_second", "gbyte_per_second", "bound", "floor_milliseconds", "in_turn_milliseconds"),
    *("milliseconds", "ratio", "ratio_lowest", "ratio_highest", "n", "device"),
)


@dataclass(frozen=True)
class Work:
    """What one operation does: floating point operations, and bytes that it reads and writes."""

    flop: int
    bytes: int


@dataclass(frozen=True)
class Rates:
    """The best of a device, per second."""

    flop: float
    bytes: float

    def seconds(self, work: Iterable[Work]) -> tuple[float, float]:
        """Return the seconds of all operations, and of all bytes."""
        works = list(work)
        return sum(one.flop for one in works) / self.flop, sum(one.bytes for one in works) / self.bytes


class Counter(TorchDispatchMode):
    """Notes the work of every operation within its context.

    torch's FlopCounterMode, whose formulas it uses, counts no bytes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.works: list[Work] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        out = func(*args, **given)
        kind = func._overloadpacket
        formula = OPERATIONS.get(kind)
        flop = formula(*args, **given, out_val=out) if formula else 0
        self.works.append(Work(flop, moved(func, args, given, out)))
        return out


def moved(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """Return the bytes of the tensors that an operation reads and writes."""
    kind = func._overloadpacket
    if func.is_view or kind in IDLE:
        return 0
    read = tree_leaves((args[1:] if kind in OVERWRITING else args, kwargs))
    written = tree_leaves(out)
    if not func._schema.returns:  # it changes its arguments: optimisers' operations on lists of tensors
        written = tree_leaves(
            [value for value, about in zip(args, func._schema.arguments, strict=False) if changes(about)]
        )
    return sum(size(value) for value in (*read, *written) if isinstance(value, Tensor))


def changes(argument: Any) -> bool:
    """Return whether an operation writes to this argument."""
    return argument.alias_info is not None and argument.alias_info.is_write


def size(tensor: Tensor) -> int:
    """Return the bytes of a tensor in memory; of an expanded one, those that it has."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def main() -> None:
    """Compare every recipe's step with its floor, and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, help="default: 5 on a CPU, 20 on a GPU")
    options.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    options.add_argument("--recipe", action="append", metavar="NAME", help="may be given several times")
    options.add_argument("--csv", type=Path)
    given = options.parse_args()
    device = choose_device(given.device)
    rounds = given.rounds or ROUNDS[device.type]
    grid = load_grid("full")
    runs = chosen(grid)
    hardware = facts.hardware(device)
    print(f"device: {hardware.device}, {hardware.host_cpu}, {torch.get_num_threads()} thread(s)")
    print("versions: " + ", ".join(f"{name} {version}" for name, version in facts.versions().items()))
    # Shards with common batch statistics run in threads, and a counter sees its own thread only.
    specs = {recipe: changed(fitted(grid, runs[recipe], device), shards=1) for recipe in given.recipe or runs}
    precisions = dict.fromkeys(spec.settings["recipe"]["precision"] for spec in specs.values())
    bandwidth = best_copy(device)
    rates = {precision: Rates(best_product(precision, device), bandwidth) for precision in precisions}
    print(f"best copy: {bandwidth / 1e9:.1f} GB/s read and written")
    for precision, best in rates.items():
        print(f"best product or convolution, {precision}: {best.flop / 1e9:,.0f} GFLOP/s")
    print(f"\nmilliseconds; ratio to the floor: median (lowest to highest); n = {rounds} steps")
    print(
        f"{'recipe':<13}{'network':<11}{'px':>4}{'batch':>6} {'in':<5}{'GFLOP':>9}{'GB':>8}{'floor':>9}"
        f" {'by':<11}{'in turn':>9}{'step':>9}{'ratio':>7}  spread"
    )
    rows = []
    with tempfile.TemporaryDirectory() as name:
        files = write_jpegs(Path(name))
        read_options = ReadOptions(job_cores(), Path(name) / "cache")
        for recipe, spec in specs.items():
            spec, (works, seconds) = where_it_fits(
                spec, files, read_options, device, lambda trainer: measured(trainer, rounds)
            )
            precision = spec.settings["recipe"]["precision"]
            about = described(recipe, spec, grid.params.backbones[spec.axes["backbone"]].title)
            row = about | summary(works, rates[precision], seconds)
            rows.append(row | {"precision": precision, "n": rounds, "device": hardware.device})
            print_row(rows[-1])
    if given.csv:
        with given.csv.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            writer.writeheader()
            for row in rows:
                writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})


def measured(trainer: Trainer, rounds: int) -> tuple[list[Work], list[float]]:
    """Return the work of a step's operations, and the seconds of some steps."""
    kept = trainer.loader.batch(0)
    trainer.loader = Feed(trainer.loader.steps_per_epoch, lambda: kept)
    for _ in range(WARM_UP[trainer.device.type]):
        trainer.train_step()
    with Counter() as counter:
        trainer.train_step()
    return counter.works, [step(trainer, trainer.device) for _ in range(rounds)]


def summary(works: list[Work], best: Rates, seconds: list[float]) -> dict[str, str | float]:
    """Return the columns of numbers."""
    parts = dict(zip(("operations", "bytes"), best.seconds(works), strict=True))
    bound, floor = max(parts.items(), key=lambda part: part[1])
    ratios = [one / floor for one in seconds]
    return {
        "gflop": sum(work.flop for work in works) / 1e9,
        "gbyte": sum(work.bytes for work in works) / 1e9,
        "peak_gflop_per_second": best.flop / 1e9,
        "gbyte_per_second": best.bytes / 1e9,
        "bound": bound,
        "floor_milliseconds": 1e3 * floor,
        "in_turn_milliseconds": 1e3 * sum(max(best.seconds([work])) for work in works),
        "milliseconds": 1e3 * statistics.median(seconds),
        "ratio": statistics.median(ratios),
        "ratio_lowest": min(ratios),
        "ratio_highest": max(ratios),
    }


def print_row(row: Mapping[str, str | int | float]) -> None:
    """Print a recipe's line of the table."""
    print(
        "{recipe:<13}{network:<11}{side:>4}{batch:>6} {precision:<5}{gflop:>9.1f}{gbyte:>8.2f}".format(**row)
        + "{floor_milliseconds:>9.1f} {bound:<11}{in_turn_milliseconds:>9.1f}{milliseconds:>9.1f}".format(
            **row
        )
        + "{ratio:>7.2f}  {ratio_lowest:.2f} to {ratio_highest:.2f}".format(**row),
        flush=True,
    )


def best_product(precision: str, device: torch.device) -> float:
    """Return the most operations per second of large matrix products and convolutions in a precision."""
    allow_tf32(precision)
    return max(rate(action, device) for action in products(HALF.get(precision, torch.float32), device))


def products(dtype: torch.dtype, device: torch.device) -> Iterator[Callable[[], Tensor]]:
    """Give large matrix products and convolutions, one after the other."""
    for side in MATRICES[device.type]:
        factor = torch.randn(side, side, device=device, dtype=dtype)
        yield lambda factor=factor: factor @ factor
    for images, channels, side in CONVOLUTIONS[device.type]:
        layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False, device=device, dtype=dtype)
        given = torch.randn(images, channels, side, side, device=device, dtype=dtype)
        pair = (layer.to(memory_format=torch.channels_last), given.to(memory_format=torch.channels_last))
        yield lambda pair=pair: pair[0](pair[1])


def rate(action: Callable[[], Tensor], device: torch.device) -> float:
    """Return the operations of an action over the seconds of its fastest trial."""
    with torch.no_grad(), Counter() as counter:
        action()
    with torch.no_grad():
        return sum(work.flop for work in counter.works) / fastest(action, device)


def best_copy(device: torch.device) -> float:
    """Return the most bytes per second, read and written, of a large copy."""
    source = torch.ones(COPIED[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / fastest(lambda: target.copy_(source), device)


def fastest(action: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of the fastest of many trials."""
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < PEAK_SECONDS:
        synchronise(device)
        start = time.perf_counter()
        action()
        synchronise(device)
        best = min(best, time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()
