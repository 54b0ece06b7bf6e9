"""Counts what was run: by table, data set, device and commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from dmix.report.frame import BLOCKED, DAMAGED, DONE, INVALID, MISSING, UNIMPLEMENTED

SHORT_COMMIT = 10
NO_COMMIT = "outside of a git repository"


@dataclass(frozen=True)
class Coverage:
    """The runs of one table, or of all of them, each counted once.

    Attributes
    ----------
    unusable: invalid or damaged. hours: that devices spent on the finished runs.
    """

    runs: int
    done: int
    blocked: int
    missing: int
    unusable: int
    unimplemented: int
    hours: float


@dataclass(frozen=True)
class Share:
    """How many finished runs have something in common, and the hours that devices spent on them."""

    name: str
    runs: int
    hours: float


def coverage(frame: pd.DataFrame, names: Iterable[str]) -> Coverage:
    """Count the runs `names` of `frame` by state."""
    here = frame[frame["name"].isin(list(names))]
    counts = here["state"].value_counts()

    def count(*states: str) -> int:
        return sum(int(counts.get(state, 0)) for state in states)

    return Coverage(
        runs=len(here),
        done=count(DONE),
        blocked=count(BLOCKED),
        missing=count(MISSING),
        unusable=count(INVALID, DAMAGED),
        unimplemented=count(UNIMPLEMENTED),
        hours=_hours(here[here["state"] == DONE]),
    )


def shares(frame: pd.DataFrame, column: str) -> tuple[Share, ...]:
    """Return the finished runs by the text in `column`, the most frequent first."""
    done = frame[frame["state"] == DONE]
    found = [Share(str(name), len(here), _hours(here)) for name, here in done.groupby(column, sort=True)]
    return tuple(sorted(found, key=lambda share: -share.runs))


def commits(frame: pd.DataFrame) -> tuple[Share, ...]:
    """Return the finished runs by the commit of the code that trained them, shortened."""
    short = frame["git_commit"].str[:SHORT_COMMIT].replace("", NO_COMMIT)
    return shares(frame.assign(git_commit=short), "git_commit")


def data_sets(frame: pd.DataFrame, titles: Mapping[str, str]) -> tuple[tuple[str, str, str, int], ...]:
    """Return title, edition, fingerprint and number of finished runs of each data set, in `titles`' order."""
    axes = ["dataset", "data_edition", "data_fingerprint"]
    counts = frame[frame["state"] == DONE].groupby(axes, sort=True).size().reset_index(name="runs")
    rows = [tuple(row) for row in counts.itertuples(index=False, name=None)]
    order = list(titles)
    rows.sort(key=lambda row: order.index(row[0]))
    return tuple((titles[name], edition, fingerprint, int(runs)) for name, edition, fingerprint, runs in rows)


def _hours(frame: pd.DataFrame) -> float:
    return float(frame["seconds"].sum()) / 3600
