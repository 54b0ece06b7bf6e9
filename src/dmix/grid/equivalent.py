"""Code that `dmix accept` has shown to compute the same as older code: reference/equivalent.csv.

A line says that what has the digest `new` computes bit for bit what has the digest `old`; it was found by
training `replayed` with both. Digests then count as the oldest of them, so that folders, records and clones
stay valid. Lines chain, and are never edited: they are about sources that no longer exist.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path

from dmix.errors import DmixError
from dmix.files import write_text

TABLE = Path("reference/equivalent.csv")


@dataclass(frozen=True)
class Line:
    """One equivalence.

    Attributes
    ----------
    part: what it is about, for people: "engine", a part as section/use, "run" for the code of whole runs, or
        "policy.use" for a part that has another name now.
    new, old: the digests, or the names as `use_key` has them.
    replayed: the runs that were trained with both, separated by blanks.
    because: the reason that was given. commit: of the old code.
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
    """All lines, by their new digest."""

    by_new: Mapping[str, Line]

    def lines(self, digest: str) -> tuple[Line, ...]:
        """Return the lines that lead from a digest to its oldest equal, the newest first."""
        found = []
        while digest in self.by_new:
            found.append(self.by_new[digest])
            digest = found[-1].old
        return tuple(found)

    def oldest(self, digest: str) -> str:
        """Return the digest that `digest` counts as: the oldest of its equals, or itself."""
        found = self.lines(digest)
        return found[-1].old if found else digest


def equivalences() -> Equivalences:
    """Return the lines of reference/equivalent.csv in the current folder; none where there is no file."""
    return _read_once(TABLE.resolve())


def use_key(section: str, use: str) -> str:
    """Return what stands in the place of a digest where a part was given another name: policy.use=cutmix."""
    return f"{section}.use={use}"


@cache
def _read_once(path: Path) -> Equivalences:
    return read_equivalences(path)


def read_equivalences(path: Path) -> Equivalences:
    """Read the lines of a file, none where it is missing.

    Raises
    ------
    DmixError: it has another header, a line without the six fields, a digest twice, or lines in a circle.
    """
    found: dict[str, Line] = {}
    for number, row in enumerate(_rows(path), start=1):
        if number == 1:
            if tuple(row) != HEADER:
                raise DmixError(f"{path}: the first line must be {','.join(HEADER)}", _way_out(path))
            continue
        if len(row) != len(HEADER) or not row[1] or not row[2]:
            raise DmixError(f"{path}: line {number} is no equivalence: {row}", _way_out(path))
        line = Line(*row)
        if line.new in found and found[line.new].old != line.old:
            raise DmixError(f"{path}: line {number} gives {line.new} a second equal", _way_out(path))
        found[line.new] = line
    _check_ends(found, path)
    return Equivalences(found)


def add_equivalences(path: Path, lines: Iterable[Line]) -> None:
    """Add lines to a file, whole or not at all; it is made where it is missing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not path.exists():
        writer.writerow(HEADER)
    writer.writerows(astuple(line) for line in lines)
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    write_text(path, before + text.getvalue())


def _rows(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.reader(stream))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise DmixError(f"cannot read {path}: {error}", _way_out(path)) from error


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
