"""Unpacks untrusted archives: only files and folders that stay inside, up to a limit."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from dmix.data.obtain.archive import CHUNK, Member, members
from dmix.data.obtain.staging import writable
from dmix.errors import DmixError

WAY_OUT = "compare its size and checksum with its source's, and get it again"
OTHER_FORMAT = "its checksum is right: unpack it by hand, then run dmix data import with the folder"
EXPANSION = 10  # most content per byte of archive; images hardly shrink, and there is little text
# ValueError: a name that no path can have. NotImplementedError: a compression that zipfile does not know.
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
)


@dataclass(frozen=True)
class Limit:
    """The most that one archive may hold: content in bytes, and members, folders included."""

    bytes: int
    members: int = 500_000


class _MemberError(Exception):
    """A member that must not be unpacked."""


def usual_limit(archive: Path) -> Limit:
    """Return the limit for an archive of a data set of images."""
    return Limit(EXPANSION * archive.stat().st_size + (64 << 20))


def unpack(archive: Path, folder: Path, limit: Limit, *, checked: bool = False) -> None:
    """Write the files of a tar (plain or gzipped) or zip archive below `folder`.

    Ownership, permissions, times and empty folders are not kept. If this fails, files are left in `folder`,
    which the caller removes.

    Parameters
    ----------
    checked: whether the archive's checksum was right, so that it cannot be damaged.

    Raises
    ------
    DmixError: naming archive and member: a path that is absolute or leads outside; a link, device or
        anything else that is no file; more than the limit; a file twice; an archive cut short or damaged.
    """
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    total, name = 0, ""
    try:
        for count, member in enumerate(members(archive), start=1):
            name = member.name
            total += member.size
            path = _inside(member)
            if count > limit.members:
                raise _MemberError(f"it is one more than {limit.members:,} members")
            if total > limit.bytes:
                raise _MemberError(f"with it the content is larger than {limit.bytes:,} bytes")
            if member.content is not None:
                _write(folder / path, member.content)
    except _MemberError as error:
        raise DmixError(f"{archive} is not unpacked: its member {name!r}: {error}", WAY_OUT) from error
    except DAMAGE as error:
        after = f" (behind its member {name!r})" if name else ""
        what = "is no archive that dmix can unpack" if checked else "is cut short or damaged"
        raise DmixError(f"{archive} {what}{after}: {error}", OTHER_FORMAT if checked else WAY_OUT) from error


def _inside(member: Member) -> PurePosixPath:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise _MemberError("its path leads out of the archive")
    if member.kind not in ("file", "folder"):
        raise _MemberError(f"it is {member.kind}, not a file")
    return path


def _write(path: Path, content: IO[bytes]) -> None:
    """Write a new file; errors of the disk are not taken for errors of the archive."""
    with writable(path.parent):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = open(path, "xb")  # noqa: SIM115
        except (FileExistsError, NotADirectoryError) as error:
            raise _MemberError("it comes twice, or as a file and as a folder") from error
    with stream:
        while chunk := content.read(CHUNK):
            with writable(path.parent):
                stream.write(chunk)
                stream.flush()
