"""Numbers that others printed, with their source."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dmix.errors import DmixError
from dmix.grid import schema

HEADER = (
    *("table", "dataset", "backbone", "setting", "method", "objective", "labels"),
    *("metric", "value", "std", "source", "detail"),
)
SOURCES = ("paper", "OpenMixup benchmark", "TorchSSL", "leaderboard archive")
# Titles of dataset, backbone, policy and objective.
Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Published:
    """A number that a source prints; `std` only where it prints one."""

    value: float
    std: float | None
    source: str


def read_reported(path: Path, wanted: schema.Reported) -> Mapping[Key, tuple[Published, ...]]:
    """Return (dataset, backbone, policy, objective) titles -> numbers of one table in its settings.

    Only accuracies of whole training sets are read: no gains from running text, no label fractions.

    Raises
    ------
    DmixError: the file is missing, has another header, an unknown source or a value that is no number.
    """
    found: dict[Key, list[Published]] = {}
    for number, row in enumerate(_rows(path), start=2):
        if row["source"] not in SOURCES:
            raise DmixError(
                f"{path}:{number}: unknown source {row['source']!r}", f"choose one of {', '.join(SOURCES)}"
            )
        if row["table"] != wanted.table or row["setting"] not in wanted.settings or row["labels"]:
            continue
        if not row["metric"].startswith("top1"):
            continue
        try:
            published = Published(
                float(row["value"]), float(row["std"]) if row["std"] else None, row["source"]
            )
        except ValueError as error:
            raise DmixError(f"{path}:{number}: {error}") from error
        key = (row["dataset"], row["backbone"], row["method"], row["objective"])
        found.setdefault(key, []).append(published)
    return {key: tuple(values) for key, values in found.items()}


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
