"""Iterates over the members of a tar or zip archive; writes nothing."""

from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

BLOCK = 512  # bytes of a tar header; two blocks of zeros end an archive
CHUNK = 1 << 20  # bytes
TAR_KINDS = {
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}
ENCRYPTED = 1  # bit of a zip member's flags


class Member(NamedTuple):
    """A member of an archive; `content` of a file is readable until the next member is asked for.

    `kind` is "file", "folder", or the name of anything else.
    """

    name: str
    kind: str
    size: int = 0
    content: IO[bytes] | None = None


def members(archive: Path) -> Iterator[Member]:
    """Yield the members of a tar (plain or gzipped) or zip archive; its first bytes say which it is.

    Raises
    ------
    tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError: it is cut short or damaged; also
        while the content of a member is read.
    """
    with open(archive, "rb") as stream:
        magic = stream.read(4)
        stream.seek(0)
        if magic == b"PK\3\4":
            yield from _zip_members(stream)
        elif magic[:2] == b"\x1f\x8b":
            with gzip.open(stream) as content:
                yield from _tar_members(content)
        else:
            yield from _tar_members(stream)


def _tar_members(stream: BinaryIO | gzip.GzipFile) -> Iterator[Member]:
    """Yield the members; only a block of zeros is the end, while tarfile takes any invalid header for it."""
    behind = 0
    with tarfile.open(fileobj=stream, mode="r:", encoding="utf-8") as archive:
        for member in archive:
            behind = member.offset_data + -(-member.size // BLOCK) * BLOCK
            if member.isreg():
                yield Member(member.name, "file", member.size, archive.extractfile(member))
            else:
                yield Member(member.name, TAR_KINDS.get(member.type, "of an unknown kind"))
    stream.seek(behind)
    if stream.read(BLOCK) != bytes(BLOCK):
        raise tarfile.ReadError(f"neither a member nor its end is at byte {behind:,}")
    while stream.read(CHUNK):  # up to the checksum at the end of a compressed archive
        pass


def _zip_members(stream: BinaryIO) -> Iterator[Member]:
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir():
                yield Member(info.filename, "folder")
            elif kind not in (0, stat.S_IFREG):
                yield Member(info.filename, "a symbolic link" if stat.S_ISLNK(kind) else "a device")
            elif info.flag_bits & ENCRYPTED:
                yield Member(info.filename, "encrypted")
            else:
                with archive.open(info) as content:
                    yield Member(info.filename, "file", info.file_size, content)
