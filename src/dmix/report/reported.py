"""Published numbers, read from reference/reported.csv, with their source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dmix.errors import DmixError
from dmix.grid.axes import METHOD, POLICY
from dmix.grid.table import Reported
from dmix.reading import read_csv

HEADER = (
    *("table", "dataset", "backbone", "setting", "method", "objective", "labels"),
    *("metric", "value", "std", "source", "detail"),
)
SOURCES = ("paper", "OpenMixup benchmark", "TorchSSL", "leaderboard archive")
TOP1 = re.compile(r"top1(_best|_median_last[0-9]+)?")  # an accuracy in percent
QUOTED = re.compile(r"text_\w+")  # a gain or factor, never put beside a cell
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
WHICH = HEADER[: HEADER.index("value")]
"""The columns that say which number a row has; a source gives it once."""

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

    The numbers of a key are in the order of `SOURCES`.

    Only accuracies are read, no gains from running text. A table with labels reads the numbers of a part of
    the labels, any other table those of all labels.

    Parameters
    ----------
    name: what the column `method` names in this table, "policy" or "method".

    Raises
    ------
    DmixError: the file is missing, has another header, an unknown source or metric, an accuracy that is no
        decimal number in 0..100, or a number of one source twice. Every row is checked, also of other tables.
    """
    found: dict[ReportedKey, list[Published]] = {}
    first: dict[tuple[str, ...], str] = {}
    for where, row in read_csv(path, HEADER):
        _check(where, row)
        same = first.setdefault((row["source"], *(row[column] for column in WHICH)), where)
        if same != where:
            raise DmixError(f"{where}: {row['source']} gives this number already in {same}", "delete one row")
        if row["table"] != wanted.table or row["setting"] not in wanted.settings:
            continue
        if bool(row["labels"]) != (wanted.labels is not None) or not row["metric"].startswith("top1"):
            continue
        std = float(row["std"]) if row["std"] else None
        published = Published(float(row["value"]), std, row["source"])
        key = reported_key(
            (row["dataset"], row["backbone"], row["method"]), name, row["objective"], row["labels"]
        )
        found.setdefault(key, []).append(published)
    return {key: tuple(sorted(values, key=_precedence)) for key, values in found.items()}


def _precedence(number: Published) -> int:
    return SOURCES.index(number.source)


def reported_key(titles: tuple[str, str, str], name: str, objective: str, labels: str) -> ReportedKey:
    """Return the key of a number: the titles of data set, backbone and policy, the objective, the labels.

    A method's title ("Self-Tuning +DM") says the objective already; without labels the key ends before them.
    """
    return (*titles, *(() if name == METHOD else (objective,)), *((labels,) if labels else ()))


def _check(where: str, row: Mapping[str, str]) -> None:
    """Refuse a row whose fields are not what they must be; `where` begins the message."""
    accuracy = TOP1.fullmatch(row["metric"])
    for column, right, expected in (
        ("source", row["source"] in SOURCES, f"one of {', '.join(SOURCES)}"),
        (
            "metric",
            accuracy or QUOTED.fullmatch(row["metric"]),
            "top1, top1_best, top1_median_last10 or text_...",
        ),
        ("value", NUMBER.fullmatch(row["value"]), "a decimal number"),
        ("std", not row["std"] or NUMBER.fullmatch(row["std"]), "a decimal number or nothing"),
    ):
        if not right:
            raise DmixError(f"{where}: {column} is {row[column]!r}, expected {expected}")
    for column in ("value", "std"):
        if accuracy and row[column] and not 0 <= float(row[column]) <= 100:
            raise DmixError(f"{where}: {column} is {row[column]}, expected percent in 0..100")
