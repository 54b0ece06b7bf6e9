"""Turns histories into curves: one quantity of each run over its epochs or steps."""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dmix.errors import DmixError
from dmix.grid.history import ACCURACY, History, accuracies, columns


@dataclass(frozen=True)
class Curve:
    """One quantity of one run.

    Attributes
    ----------
    cell: the run's name without its seed. x: epochs or finished steps, rising. y: as long.
    note: what is to be said of a run that is not finished; "" for a finished one.
    """

    name: str
    cell: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    note: str


@dataclass(frozen=True)
class Chart:
    """Curves that are drawn together, at least one, each with at least one point.

    Attributes
    ----------
    title: what all names begin with, up to a slash. x_label: "epoch" or "step".
    """

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of the curves, each once."""
        return tuple(dict.fromkeys(curve.cell for curve in self.curves))

    def short(self, name: str) -> str:
        """Return the name of a run or cell without what all of them begin with."""
        return name.removeprefix(self.title).lstrip("/") or name.rpartition("/")[2]


def chart(histories: Sequence[History], metric: str | None, notes: Mapping[str, str]) -> Chart:
    """Return the curves of `metric`, a column of the histories; None is each run's primary accuracy.

    Over epochs if all have them, else over steps. Runs without a value yet are left out.

    Parameters
    ----------
    notes: name -> what is to be said of a run that is not finished.

    Raises
    ------
    DmixError: none has a value of the metric; it lists those that there are.
    """
    chosen = {history.name: metric or next(iter(accuracies(history.rows)), ACCURACY) for history in histories}
    x = "epoch" if all("epoch" in row for history in histories for row in history.rows) else "step"
    curves = []
    for history in histories:
        column = chosen[history.name]
        points = [(row[x], row[column]) for row in history.rows if column in row]
        if points:
            xs, ys = zip(*points, strict=True)
            cell = history.name.rpartition("/")[0]
            curves.append(Curve(history.name, cell, xs, ys, notes.get(history.name, "")))
    if not curves:
        known = columns(row for history in histories for row in history.rows)
        raise DmixError(
            f"no run has {metric or 'an accuracy'} yet",
            f"choose --metric of {', '.join(name for name in known if name not in ('epoch', 'step'))}",
        )
    title = os.path.commonpath([curve.name for curve in curves])
    return Chart(title, x, metric or "top-1 accuracy (%)", tuple(curves))
