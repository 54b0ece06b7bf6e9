"""Reads and writes measured speeds: `results/speed.csv`, one line per measurement of `dmix measure`."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dmix.errors import DmixError
from dmix.files import write_text
from dmix.grid.paths import RESULTS
from dmix.grid.spec import RunSpec, digest_of
from dmix.grid.work import image_side
from dmix.reading import read_csv

SPEED = RESULTS / "speed.csv"
DATA = ("own", "noise")


@dataclass(frozen=True)
class Step:
    """What the time and memory of a training step depend on, beside the device.

    Attributes
    ----------
    addon: "yes" if a two-stream method has mixed batches, else "no".
    network: digest of the network's settings, which small tiers scale down. side: of images, in pixels.
    shards: parts of the batch, which go through the network one after the other.
    """

    method: str
    addon: str
    backbone: str
    network: str
    policy: str
    precision: str
    side: int
    batch_size: int
    shards: int


@dataclass(frozen=True)
class Speed:
    """One measurement.

    Attributes
    ----------
    device: as torch names it; "cpu". together: how many such runs shared the device.
    data: "own" if the run's own images were loaded and augmented, "noise" if only training was timed.
    images_per_s: (labelled) images of all runs together. memory_mb: peak of one run in MiB: what torch
        reserved on a GPU (CUDA's own some hundred MiB are not in it), else resident memory.
    cold_start_s: seconds from a process that has imported torch to the end of its first step.
    weights_mb, checkpoint_mb: size in MiB of the method's state, and of all that a checkpoint holds.
    steps: number of steps that were timed. torch: its version. run: the run that stands for all like it.
    """

    device: str
    step: Step
    together: int
    data: str
    images_per_s: float
    memory_mb: float
    cold_start_s: float
    weights_mb: float
    checkpoint_mb: float
    steps: int
    torch: str
    run: str


STEP_FIELDS = tuple(field.name for field in dataclasses.fields(Step))
OWN_FIELDS = tuple(field.name for field in dataclasses.fields(Speed) if field.name not in ("device", "step"))
HEADER = ("device", *STEP_FIELDS, *OWN_FIELDS)
POSITIVE = ("images_per_s", "memory_mb", "cold_start_s", "weights_mb", "checkpoint_mb")
WHOLE = ("side", "batch_size", "shards", "together", "steps")


def step_of(spec: RunSpec) -> Step:
    """Return the training step of a run."""
    recipe, axes = spec.settings["recipe"], spec.axes
    return Step(
        method=axes["method"],
        addon="yes" if spec.settings["addon"] else "no",
        backbone=axes["backbone"],
        network=digest_of(spec.settings["backbone"]),
        policy=axes["policy"],
        precision=recipe["precision"],
        side=image_side(spec),
        batch_size=recipe["batch_size"],
        shards=recipe["shards"],
    )


def read_speeds(path: Path = SPEED) -> tuple[Speed, ...]:
    """Return all measurements of the file, in its order; none if there is no file.

    Raises
    ------
    DmixError: it has another header, or a field is not what it must be; with file and line.
    """
    if not path.exists():
        return ()
    return tuple(_speed(where, row) for where, row in read_csv(path, HEADER, f"delete {path}"))


def write_speeds(speeds: Iterable[Speed], path: Path = SPEED) -> None:
    """Write measurements, in place of an earlier file; of one step on one device the last one is kept."""
    latest = {(each.device, each.step, each.together): each for each in speeds}
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(HEADER)
    for each in latest.values():
        own = [getattr(each, name) for name in OWN_FIELDS]
        shown = [f"{value:.4g}" if isinstance(value, float) else value for value in own]
        rows.writerow([each.device, *dataclasses.astuple(each.step), *shown])
    write_text(path, text.getvalue())


def _speed(where: str, row: dict[str, str]) -> Speed:
    values: dict[str, object] = dict(row)
    try:
        values |= {name: float(row[name]) for name in POSITIVE}
        values |= {name: int(row[name]) for name in WHOLE}
    except ValueError as error:
        raise DmixError(f"{where}: {error}") from error
    for name in (*POSITIVE, *WHOLE):
        if not 0 < float(row[name]) < float("inf"):
            raise DmixError(f"{where}: {name} is {row[name]}, which is no number above 0")
    if row["data"] not in DATA:
        raise DmixError(f"{where}: data is {row['data']!r}, none of {', '.join(DATA)}")
    step = Step(**{name: values.pop(name) for name in STEP_FIELDS})  # type: ignore[arg-type]
    return Speed(step=step, **values)  # type: ignore[arg-type]
