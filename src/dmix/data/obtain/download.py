"""Downloads one file from one address, and resumes where an earlier attempt ended."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable

from dmix.data.obtain.progress import Advance, progress
from dmix.data.obtain.request import Answer, BrokenError, PartialFile, SourceError, open_download, reason
from dmix.errors import DmixError

CHUNK = 1 << 18  # bytes
PATIENCE = 5  # broken connections in a row without a new byte


def download(
    url: str,
    partial: PartialFile,
    name: str,
    expected: int | None,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Download the rest of `url` into `partial`.

    A broken connection is retried as long as new bytes arrive. If this fails, what has arrived stays, and the
    next call resumes it if the server supports that and its file is unchanged.

    Parameters
    ----------
    name: of the file, for messages.
    expected: its size in bytes, where known.
    pause: waits for that many seconds.

    Raises
    ------
    SourceError: the server cannot be reached, refuses, or offers a file of another size.
    DmixError: the disk cannot be written.
    """
    most, arrived, fruitless = partial.size(), False, 0
    while expected is None or partial.size() != expected:
        try:
            answer = open_download(url, partial)
            with answer.response:
                _take(answer, partial, name, expected)
        except BrokenError:
            arrived = arrived or partial.size() > most
            fruitless = 0 if partial.size() > most else fruitless + 1
            most = max(most, partial.size())
            # If nothing has arrived at all, the caller tries the next source.
            if fruitless > (PATIENCE if arrived else 0):
                raise
            pause(2.0**fruitless)
        else:
            return


def _take(answer: Answer, partial: PartialFile, name: str, expected: int | None) -> None:
    """Append what the server sends to `partial`, or write `partial` anew where it sends the whole file."""
    total = answer.total
    if expected is not None and total is not None and total != expected:
        partial.discard()
        raise SourceError(f"it offers {total:,} bytes, not {expected:,}")
    if answer.begin == 0:
        partial.restart(answer.response)
    with progress(f"getting {name}", "MB", total, answer.begin) as advance:
        _write(answer, partial, advance)
    if total is not None and partial.size() < total:  # http.client says nothing about an early end
        raise BrokenError(f"the connection ended after {partial.size():,} of {total:,} bytes")


def _write(answer: Answer, partial: PartialFile, advance: Advance) -> None:
    try:
        with open(partial.path, "ab" if answer.begin else "wb") as stream:
            while chunk := _read(answer):
                stream.write(chunk)
                stream.flush()  # so that a kill loses nothing that was counted
                advance(len(chunk))
    except OSError as error:
        raise DmixError(
            f"cannot write {partial.path}: {error.strerror or error}",
            "free some disk space, then run the same command again: it continues",
            exit_code=1,
        ) from error


def _read(answer: Answer) -> bytes:
    try:
        chunk: bytes = answer.response.read(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise BrokenError(reason(error)) from error
    return chunk
