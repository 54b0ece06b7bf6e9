"""Reads and extends reference/equivalent.csv: code that `dmix accept` has shown to equal older code.

A line says that code with the digest `new` computes bit for bit what code with the digest `old` did, as
training the runs `replayed` with both has shown. A digest counts as its oldest equal, so that folders,
records and clones stay valid. Lines chain, and are never edited: their sources no longer exist.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path

from dmix.errors import DmixError
from dmix.files import write_text
from dmix.reading import read_csv, read_text

TABLE = Path("reference/equivalent.csv")


@dataclass(frozen=True)
class Line:
    """One equivalence of new and old code.

    Attributes
    ----------
    part: what the line is about, for people: "engine", a part as section/use, "run" for the code of whole
        runs, or "policy.use" for a renamed part.
    new, old: the digests; for a renamed part the results of `use_key`.
    replayed: the runs that were trained with both, separated by blanks.
    because: the reason given for the edit. commit: that of the old code.
    """

    part: str
    new: str
    old: str
    replayed: str
    because: str
    commit: str


HEADER = tuple(field.name for field in fields(Line))


@dataclass(frozen=True, eq=False)
class Equivalences:
    """All lines of the file, by their new digest."""

    by_new: Mapping[str, Line]

    def lines(self, digest: str) -> tuple[Line, ...]:
        """Return the lines that lead from a digest to its oldest equal, the newest first."""
        found = []
        while digest in self.by_new:
            found.append(self.by_new[digest])
            digest = found[-1].old
        return tuple(found)

    def oldest(self, digest: str) -> str:
        """Return the oldest equal of `digest`, or `digest` itself if it has none."""
        found = self.lines(digest)
        return found[-1].old if found else digest


def equivalences() -> Equivalences:
    """Return the equivalences of reference/equivalent.csv in the current folder; none without that file."""
    return _read_once(os.getcwd())  # noqa: PTH109 - asked for every run; Path.cwd() takes ten times as long


def use_key(section: str, use: str) -> str:
    """Return the key that replaces a digest in the line of a renamed part, such as policy.use=cutmix."""
    return f"{section}.use={use}"


@cache
def _read_once(folder: str) -> Equivalences:
    return read_equivalences(Path(folder, TABLE))


def read_equivalences(path: Path) -> Equivalences:
    """Read the equivalences of a file; none if it is missing.

    Raises
    ------
    DmixError: a wrong header, a line without the six fields, two equals of one digest, or a cycle.
    """
    found: dict[str, Line] = {}
    for where, row in read_csv(path, HEADER, _way_out(path)) if path.exists() else ():
        line = Line(**row)
        if not line.new or not line.old:
            raise DmixError(f"{where} is no equivalence: {list(row.values())}", _way_out(path))
        if line.new in found and found[line.new].old != line.old:
            raise DmixError(f"{where} gives {line.new} a second equal", _way_out(path))
        found[line.new] = line
    _check_ends(found, path)
    return Equivalences(found)


def add_equivalences(path: Path, lines: Iterable[Line]) -> None:
    """Add lines to a file atomically; create it if it is missing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not path.exists():
        writer.writerow(HEADER)
    writer.writerows(astuple(line) for line in lines)
    before = read_text(path) if path.exists() else ""
    write_text(path, before + text.getvalue())


def _check_ends(found: Mapping[str, Line], path: Path) -> None:
    for start in found:
        seen, digest = {start}, found[start].old
        while digest in found:
            if digest in seen:
                raise DmixError(f"{path}: the lines of {start} lead in a circle", _way_out(path))
            seen.add(digest)
            digest = found[digest].old


def _way_out(path: Path) -> str:
    return f"get the committed file again: git checkout {path}"
