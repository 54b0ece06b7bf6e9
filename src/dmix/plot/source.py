"""Hands a figure what it is made of: the runs' results, titles, and a canvas of the right width."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dmix.errors import DmixError
from dmix.grid.evaluation import product_of
from dmix.grid.expand import Grid
from dmix.grid.figure import FigureEntry
from dmix.grid.history import read_rows
from dmix.grid.paths import DATA, HISTORY, RECORD
from dmix.grid.schema import Params
from dmix.mixed.record import MixedAccuracy
from dmix.plot.style import INCHES
from dmix.record import read_record
from dmix.report.build import REFERENCE
from dmix.report.frame import DONE, load_frame
from dmix.report.levels import named_by, settings_of
from dmix.report.reported import read_reported
from dmix.report.table import TableData, build_table


@dataclass(frozen=True)
class Source:
    """What one figure may read.

    Attributes
    ----------
    name, entry: of the figure in `params.yaml`. runs_root: results/<tier>/records. data_root: folder of the
    editions of the data sets.
    """

    grid: Grid
    name: str
    entry: FigureEntry
    runs_root: Path
    data_root: Path = DATA

    @property
    def params(self) -> Params:
        """All entries, for their titles and kinds."""
        return self.grid.params

    @cached_property
    def runs(self) -> tuple[str, ...]:
        """Names of the runs that the figure shows, finished or not."""
        return self.grid.figure_runs(self.entry)

    def frame(self, settings: Iterable[str] = ()) -> pd.DataFrame:
        """Return one row for each run, also without a record (`dmix.report.frame.load_frame`)."""
        return load_frame(self.grid, self.runs, self.runs_root, settings)

    def finished(self, settings: Iterable[str] = ()) -> pd.DataFrame:
        """Return the rows of `frame` whose runs are done."""
        frame = self.frame(settings)
        return frame[frame["state"] == DONE].reset_index(drop=True)

    @cached_property
    def done(self) -> int:
        """How many of the runs are finished."""
        return int((self.frame()["state"] == DONE).sum())

    @cached_property
    def table(self) -> TableData:
        """The entry's table, of the runs that the figure shows, with the published numbers.

        Raises
        ------
        DmixError: the entry names no table.
        """
        if self.entry.table is None:
            raise DmixError(f"figure {self.name} needs a table", "write table in place of grids")
        table = self.params.tables[self.entry.table]
        frame = self.frame(settings_of(table))
        published = None
        if table.reported is not None:
            published = read_reported(REFERENCE / "reported.csv", table.reported, named_by(table.levels))
        return build_table(self.entry.table, frame, table, self.params, self.grid.tier, reported=published)

    def history(self, name: str) -> pd.DataFrame:
        """Return losses and accuracies of a finished run, one row per evaluation, all of them float64.

        Raises
        ------
        DmixError: the file is damaged.
        """
        return pd.DataFrame(list(read_rows(self.runs_root / self.grid.folders[name] / HISTORY)))

    def mixed(self, name: str) -> MixedAccuracy | None:
        """Return the accuracies of a finished run on mixed test images; None if it was not evaluated.

        Raises
        ------
        DmixError: the file is damaged, or of other weights than the run's record.
        """
        folder = self.grid.folders[name]
        path = product_of(self.runs_root, MixedAccuracy.KIND, folder)
        if not path.exists():
            return None
        found = MixedAccuracy.read(path)
        found.check_weights(path, read_record(self.runs_root / folder / RECORD).weights_sha256)
        return found

    def title(self, axis: str, entry: str) -> str:
        """Return the title of an entry, such as "Mixup" of policy mixup."""
        return self.params.title(axis, entry)

    def canvas(self, height: float) -> Figure:
        """Return an empty figure of the entry's width and of `height` inches."""
        return Figure(figsize=(INCHES[self.entry.width], height), layout="constrained")


@dataclass(frozen=True)
class Drawn:
    """A figure, the numbers behind it, and their words.

    Attributes
    ----------
    data: everything that is drawn, one row for each mark or point of a line.
    says: sentences with numbers for the caption, such as n; "" for none. How many runs are missing is added.
    alt: description for those who cannot see the figure, with its most important numbers.
    """

    figure: Figure
    data: pd.DataFrame
    alt: str
    says: str = ""


Settings = Mapping[str, Any]
