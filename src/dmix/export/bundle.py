"""Writes a bundle: a folder with a manifest, whole or not at all, and the same as an archive."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import secrets
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dmix.errors import DmixError
from dmix.files import CannotWrite, atomic_write, publish_folder, unfinished_folders

SUMS, MANIFEST = "SHA256SUMS", "manifest.csv"
CHUNK = 2**20


class Line(NamedTuple):
    """One file of a bundle: its path there, its size and its SHA-256 (64 hex digits)."""

    path: str
    bytes: int
    sha256: str


def write_bundle(folder: Path, files: Mapping[str, Path], texts: Mapping[str, str]) -> tuple[Line, ...]:
    """Write `files` and `texts`, by their paths in the bundle, with manifest.csv and SHA256SUMS.

    An earlier bundle in `folder` is replaced when the new one is complete.

    Raises
    ------
    DmixError: `folder` is something else than a bundle, a file cannot be read, or the disk is full.
    """
    if folder.exists() and not (folder / SUMS).is_file():
        raise DmixError(f"{folder} exists and is no bundle", "move it away, or name another --out")
    for abandoned in unfinished_folders(folder.parent, folder.name):
        shutil.rmtree(abandoned)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        draft.mkdir(parents=True)
        lines = [_copy(source, draft, place) for place, source in sorted(files.items())]
        lines += [_write(text, draft, place) for place, text in sorted(texts.items())]
        lines.sort()
        lines.append(_write(_manifest(lines), draft, MANIFEST))
        _write("".join(f"{line.sha256}  {line.path}\n" for line in lines), draft, SUMS)
        _replace(draft, folder)
    except OSError as error:
        raise CannotWrite(folder, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return tuple(lines)


def pack(folder: Path) -> Path:
    """Write `folder` as <folder>.tar.gz, the same bytes wherever and whenever; return its path."""
    archive = folder.with_name(f"{folder.name}.tar.gz")
    with (
        atomic_write(archive) as stream,
        # Neither name nor time of the packing are in it.
        gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}")
            entry.size, entry.mode = path.stat().st_size, 0o644
            with open(path, "rb") as content:
                tar.addfile(entry, content)
    return archive


def _replace(draft: Path, folder: Path) -> None:
    earlier = folder.with_name(f"{draft.name}.earlier")
    if folder.exists():
        folder.rename(earlier)
    publish_folder(draft, folder)
    shutil.rmtree(earlier, ignore_errors=True)


def _manifest(lines: list[Line]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Line._fields)
    writer.writerows(lines)
    return out.getvalue()


def _copy(source: Path, folder: Path, place: str) -> Line:
    try:
        stream = open(source, "rb")  # noqa: SIM115
    except OSError as error:
        raise DmixError(f"cannot read {source}: {error.strerror}", exit_code=1) from error
    with stream:
        return _stream(stream, folder, place)


def _write(text: str, folder: Path, place: str) -> Line:
    return _stream(io.BytesIO(text.encode()), folder, place)


def _stream(content: BinaryIO, folder: Path, place: str) -> Line:
    """Write `content` below `folder` and hash what is written."""
    target, digest, size = folder / place, hashlib.sha256(), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "wb") as out:
        while block := content.read(CHUNK):
            out.write(block)
            digest.update(block)
            size += len(block)
    return Line(place, size, digest.hexdigest())
