"""Published numbers, read from reference/reported.csv, with their source."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dmix.errors import DmixError
from dmix.grid.axes import METHOD, POLICY
from dmix.grid.table import Reported

HEADER = (
    *("table", "dataset", "backbone", "setting", "method", "objective", "labels"),
    *("metric", "value", "std", "source", "detail"),
)
SOURCES = ("paper", "OpenMixup benchmark", "TorchSSL", "leaderboard archive")
ReportedKey = tuple[str, ...]


@dataclass(frozen=True)
class Published:
    """A number that a source prints; `std` only where it prints one."""

    value: float
    std: float | None
    source: str


def read_reported(
    path: Path, wanted: Reported, name: str = POLICY
) -> Mapping[ReportedKey, tuple[Published, ...]]:
    """Return the numbers of one published table in the settings that `wanted` names, by `reported_key`.

    Only accuracies are read, no gains from running text. A table with labels reads the numbers of a part of
    the labels, any other table those of all labels.

    Parameters
    ----------
    name: what the column `method` names in this table, "policy" or "method".

    Raises
    ------
    DmixError: the file is missing, has another header, an unknown source or a value that is no number.
    """
    found: dict[ReportedKey, list[Published]] = {}
    for number, row in enumerate(_rows(path), start=2):
        if row["source"] not in SOURCES:
            raise DmixError(
                f"{path}:{number}: unknown source {row['source']!r}", f"choose one of {', '.join(SOURCES)}"
            )
        if row["table"] != wanted.table or row["setting"] not in wanted.settings:
            continue
        if bool(row["labels"]) != (wanted.labels is not None) or not row["metric"].startswith("top1"):
            continue
        try:
            published = Published(
                float(row["value"]), float(row["std"]) if row["std"] else None, row["source"]
            )
        except ValueError as error:
            raise DmixError(f"{path}:{number}: {error}") from error
        key = reported_key(
            (row["dataset"], row["backbone"], row["method"]), name, row["objective"], row["labels"]
        )
        found.setdefault(key, []).append(published)
    return {key: tuple(values) for key, values in found.items()}


def reported_key(titles: tuple[str, str, str], name: str, objective: str, labels: str) -> ReportedKey:
    """Return the key of a number: the titles of data set, backbone and policy, the objective, the labels.

    A method's title ("Self-Tuning +DM") says the objective already; without labels the key ends before them.
    """
    return (*titles, *(() if name == METHOD else (objective,)), *((labels,) if labels else ()))


def _rows(path: Path) -> Iterable[Mapping[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
    except OSError as error:
        raise DmixError(f"cannot read {path}: {error.strerror}") from error
    if not rows or tuple(rows[0]) != HEADER:
        raise DmixError(f"{path}: the first line must be {','.join(HEADER)}")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(HEADER):
            raise DmixError(f"{path}:{number}: {len(row)} fields, expected {len(HEADER)}")
        yield dict(zip(HEADER, row, strict=True))
