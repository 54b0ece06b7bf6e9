"""Where genuine data sets, label lists and pretrained weights come from: `reference/datasets.csv`.

Read while the workflow is parsed, so it imports next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from dmix.errors import DmixError
from dmix.reading import read_csv

TABLE = Path("reference/datasets.csv")
HEADER = (
    *("item", "kind", "path", "form", "file", "place"),
    *("url", "bytes", "algorithm", "checksum", "note"),
)
KINDS = ("data", "weights", "lists")
# folder: an archive of the item's folder; into: an archive of that folder's content; copy: a file that is
# copied into the folder; link: a file that is linked there, because it is too large to copy.
PLACES = ("folder", "into", "copy", "link")
URL = re.compile(r"(?:https?://[^/\s]+/\S+|torchvision:\w+\.\w+)?")
CHECKSUMS = {
    "md5": re.compile(r"[0-9a-f]{32}"),
    # A prefix is enough: torch's hub publishes no more than that.
    "sha256": re.compile(r"[0-9a-f]{8,64}"),
    # Of the sorted lines of a text (`dmix.files.line_digest`), because their order does not matter.
    "sha256_lines": re.compile(r"[0-9a-f]{64}"),
    "": re.compile(""),
}
NAME = re.compile(r"[\w.-]+", re.ASCII)


@dataclass(frozen=True)
class File:
    """One published file.

    Parameters
    ----------
    form: which published form of the item the file belongs to; all files of one form make up the item.
    place: one of PLACES.
    sources: addresses that need no account, tried in order.
    bytes: None where unknown.
    algorithm, checksum: the start of its digest; both "" where none could be confirmed.
    notes: a remark for each row of the table that has one.
    """

    name: str
    form: str
    place: str
    sources: tuple[str, ...]
    bytes: int | None
    algorithm: str
    checksum: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """A data set, a folder of lists, or one file of weights; `path` is where it belongs below data/real/.

    A data set that the table has no source of has no files.
    """

    name: str
    kind: str
    path: PurePosixPath
    files: tuple[File, ...]

    @cached_property
    def forms(self) -> Mapping[str, tuple[File, ...]]:
        """The files of each published form."""
        names = dict.fromkeys(file.form for file in self.files)
        return {form: tuple(file for file in self.files if file.form == form) for form in names}

    @property
    def fetchable(self) -> bool:
        """Whether all of it can be downloaded without an account."""
        return len(self.forms) == 1 and all(file.sources for file in self.files)

    @property
    def command(self) -> str:
        """The one command that gets it."""
        return f"dmix data fetch {self.name}" if self.fetchable else f"dmix data import {self.name} PATH"

    def way_out(self, data: Path) -> str:
        """Return what a person does to get it; what nobody publishes is put in its place by hand."""
        own = f"put it at {self.target(data)}, or "
        return f"{'' if self.files else own}run {self.command}"

    def target(self, data: Path) -> Path:
        """Return where it belongs; `data` is the folder that holds the editions."""
        return data / "real" / self.path

    def present(self, data: Path) -> bool:
        """Return whether it is there. It is put there whole or not at all."""
        return self.target(data).exists()


def read_sources(path: Path = TABLE) -> Mapping[str, Item]:
    """Return name -> item, in the order of the table.

    Raises
    ------
    DmixError: the file is missing or has another header; with file and line: a field is not what it must
        be, or a row contradicts an earlier one.
    """
    items: dict[str, Item] = {}
    for where, row in read_csv(path, HEADER, "run dmix in the repository's root"):
        _check(where, row)
        new = _item(row)
        old = items.get(new.name, new)
        if (old.kind, old.path) != (new.kind, new.path):
            raise DmixError(f"{where}: {new.name} is {old.kind} at {old.path} in an earlier row")
        files = {file.name: file for file in old.files}
        files[row["file"]] = _joined(where, files.get(row["file"], new.files[0]), new.files[0])
        items[new.name] = Item(new.name, new.kind, new.path, tuple(files.values()))
    return items


def _item(row: Mapping[str, str]) -> Item:
    """Return the item of a single row."""
    file = File(
        name=row["file"],
        form=row["form"],
        place=row["place"],
        sources=(row["url"],) if row["url"] else (),
        bytes=int(row["bytes"]) if row["bytes"] else None,
        algorithm=row["algorithm"],
        checksum=row["checksum"],
        notes=(row["note"],) if row["note"] else (),
    )
    return Item(row["item"], row["kind"], PurePosixPath(row["path"]), (file,))


def _joined(where: str, old: File, new: File) -> File:
    """Return the file of earlier rows with the source of a new row."""
    for what in ("form", "place", "bytes", "algorithm", "checksum"):
        if getattr(old, what) != getattr(new, what):
            raise DmixError(f"{where}: the {what} of {new.name} is another in an earlier row")
    if old is new:
        return new
    if not new.sources or new.sources[0] in old.sources:
        raise DmixError(f"{where}: this row adds no source of {new.name} to the earlier ones")
    return File(
        *(new.name, new.form, new.place, old.sources + new.sources),
        *(new.bytes, new.algorithm, new.checksum, old.notes + new.notes),
    )


def _check(where: str, row: Mapping[str, str]) -> None:
    path = PurePosixPath(row["path"])
    inside = bool(path.parts) and not path.is_absolute() and ".." not in path.parts
    algorithm = CHECKSUMS.get(row["algorithm"])
    for column, right, expected in (
        ("item", NAME.fullmatch(row["item"]), "a name"),
        ("kind", row["kind"] in KINDS, f"one of {', '.join(KINDS)}"),
        ("path", inside, "a path below data/real"),
        ("form", NAME.fullmatch(row["form"]), "a name"),
        ("file", NAME.fullmatch(row["file"]), "a file name"),
        ("place", row["place"] in PLACES, f"one of {', '.join(PLACES)}"),
        ("url", URL.fullmatch(row["url"]), "http://..., https://..., torchvision:WEIGHTS or nothing"),
        ("bytes", re.fullmatch(r"([1-9][0-9]{0,17})?", row["bytes"]), "a number of bytes or nothing"),
        ("algorithm", algorithm, "md5, sha256, sha256_lines or nothing"),
        ("checksum", algorithm and algorithm.fullmatch(row["checksum"]), "hex digits as its algorithm has"),
    ):
        if not right:
            raise DmixError(f"{where}: {column} is {row[column]!r}, expected {expected}")
