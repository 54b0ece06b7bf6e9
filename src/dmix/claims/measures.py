"""What a claim compares of a run: one number, from its record or from an evaluation of its weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from dmix.confidence.record import RunConfidence
from dmix.evaluation_record import EvaluationRecord
from dmix.grid.evaluation import product_of
from dmix.grid.expand import Grid
from dmix.grid.history import accuracies, read_rows
from dmix.grid.paths import HISTORY
from dmix.mixed.linearity import share_error
from dmix.mixed.record import OWN, MixedAccuracy, Mixing
from dmix.report.frame import DONE

Row = Mapping[str, Any]
Kept = TypeVar("Kept", bound=EvaluationRecord)
MINOR_SHARE = 0.2
"""Weight of the minor class at which the preregistered demonstration looks."""
HALF = 4
"""Place of the most confident five tenths in `dmix.confidence.record.Confidence.most_confident`."""
SECONDS = "s"
"""Unit of measures that depend on the device."""


@dataclass(frozen=True)
class Measure:
    """A number of a run.

    Attributes
    ----------
    title: as in a sentence. unit: of a difference. sign: 1 where more is better, else -1.
    read: returns the number, None where the run has none. Its row has that of the run it is compared with as
        "beside", None where that one is not finished.
    step: points by which one test image moves it, in units of 100 / number of test images.
    whole: whether it is a whole number, so that runs may agree by rounding alone.
    """

    title: str
    unit: str
    sign: int
    read: Callable[[Row, Path], float | None]
    step: float = 0.0
    whole: bool = False


def _score(row: Row, _: Path) -> float | None:
    return float(row["score"])


def _seconds_per_image(row: Row, _: Path) -> float | None:
    rate = float(row["images_per_second"])
    return 1 / rate if rate > 0 else None


def _epochs_to_same(row: Row, root: Path) -> float | None:
    """Return the first epoch with the score of the run beside, or one more than there are if none has it.

    None unless the test images were read after every epoch.
    """
    if row["beside"] is None:
        return None
    history = read_rows(root / row["folder"] / HISTORY)
    primary = next(iter(accuracies(history)), "")
    top1 = [each.get(primary) for each in history]
    if [each.get("epoch") for each in history] != list(range(1, len(history) + 1)) or None in top1:
        return None
    score = float(row["beside"]["score"])
    reached = (epoch for epoch, value in enumerate(top1, start=1) if value is not None and value >= score)
    return float(next(reached, len(top1) + 1))


def _evaluated(kind: type[Kept], row: Row, root: Path) -> Kept | None:
    """Return a run's evaluation; None without one, or with one that is damaged or of other weights."""
    return kind.find(product_of(root, kind.KIND, row["folder"]), row["weights_sha256"])


def _own(row: Row, root: Path) -> Mixing | None:
    """Return the accuracies on images that the run's own policy mixed."""
    found = _evaluated(MixedAccuracy, row, root)
    return found.mixings.get(OWN) if found else None


def _mixed(percent: str) -> Callable[[Row, Path], float | None]:
    """Return a reader of the accuracy on images that the run's own policy mixed, with lam of its training."""

    def read(row: Row, root: Path) -> float | None:
        own = _own(row, root)
        return None if own is None or own.training is None else float(getattr(own.training, percent))

    return read


def _common(row: Row, root: Path) -> float | None:
    """Return the mean top-1 on images that common policies mixed, the same for all runs, lam from 0 to 1."""
    found = _evaluated(MixedAccuracy, row, root)
    mixings = [mixing for name, mixing in found.mixings.items() if name != OWN] if found else []
    values = [at.top1_percent for mixing in mixings for at in mixing.sweep]
    return sum(values) / len(values) if values else None


def _minor_top2(row: Row, root: Path) -> float | None:
    """Return top-2 on own mixes in which the minor class has a share of `MINOR_SHARE`."""
    own = _own(row, root)
    at = own.at_share(MINOR_SHARE) if own else None
    return None if at is None else at.top2_percent


def _share_error(row: Row, root: Path) -> float | None:
    """Return how far the answer to own mixes is from linear in lam, in points (hundredths)."""
    own = _own(row, root)
    error = share_error(own) if own else None
    return None if error is None else 100 * error


def _calibration_error(row: Row, root: Path) -> float | None:
    """Return the expected calibration error on the test images."""
    found = _evaluated(RunConfidence, row, root)
    return found.test.calibration_error if found else None


def _pseudo_labels(row: Row, root: Path) -> float | None:
    """Return how many of the more confident half of the pseudo-labels are right: one share for all runs."""
    found = _evaluated(RunConfidence, row, root)
    return found.unlabelled.most_confident[HALF].accuracy if found and found.unlabelled else None


MEASURES: Mapping[str, Measure] = {
    "top1": Measure("top-1 accuracy", "points", 1, _score, step=1.0),
    "seconds_per_image": Measure("training time of an image", SECONDS, -1, _seconds_per_image),
    "epochs_to_same": Measure(
        "first epoch at the accuracy of the other", "epochs", -1, _epochs_to_same, whole=True
    ),
    "mixed_top1": Measure("top-1 accuracy on its own mixes", "points", 1, _mixed("top1_percent"), step=1.0),
    "mixed_top1_common": Measure("top-1 accuracy on mixes that all runs share", "points", 1, _common),
    "minor_top2": Measure("top-2 accuracy at a minor share of 0.2", "points", 1, _minor_top2),
    "share_error": Measure("error of the share", "points", -1, _share_error),
    "calibration_error": Measure("calibration error", "points", -1, _calibration_error),
    "pseudo_labels": Measure("accuracy of pseudo-labels", "points", 1, _pseudo_labels),
    "mixed_top2": Measure("top-2 accuracy on its own mixes", "points", 1, _mixed("top2_percent"), step=1.0),
}


@dataclass(frozen=True)
class Results:
    """The finished runs of a tier: what was measured of each, and the hours that each took."""

    grid: Grid
    rows: Mapping[str, Row]
    root: Path

    @classmethod
    def of(cls, grid: Grid, frame: pd.DataFrame, root: Path) -> Results:
        """Return the finished runs of `frame` (`dmix.report.frame.load_frame`)."""
        columns = ["name", "score", "images_per_second", "seconds", "device", "folder", "weights_sha256"]
        done = frame[frame["state"] == DONE][columns]
        rows = (dict(zip(columns, row, strict=True)) for row in done.itertuples(index=False, name=None))
        return cls(grid, {row["name"]: row for row in rows}, root)

    def value(self, name: str, measure: str, beside: str) -> float | None:
        """Return the measure of a run; None where it is not finished or has no such number.

        Parameters
        ----------
        beside: the run that it is compared with, or itself.
        """
        row = self.rows.get(name)
        read = MEASURES[measure].read
        found = None if row is None else read({**row, "beside": self.rows.get(beside)}, self.root)
        return found if found is not None and math.isfinite(found) else None

    def hours(self, names: Iterable[str]) -> float:
        """Return the hours that devices spent on those of the runs that are finished, each counted once."""
        seconds = (float(self.rows[name]["seconds"]) for name in set(names) if name in self.rows)
        return math.fsum(seconds) / 3600  # exact in any order: that of a set differs between processes
