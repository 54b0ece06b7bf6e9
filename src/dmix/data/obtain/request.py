"""HTTP requests for a file, or for the rest of a partial download."""

from __future__ import annotations

import http
import http.client
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dmix import __version__
from dmix.files import write_text

TIMEOUT = 60.0  # seconds without a byte
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
TRANSIENT = (http.HTTPStatus.REQUEST_TIMEOUT, http.HTTPStatus.TOO_MANY_REQUESTS)


class SourceError(Exception):
    """This address does not give the file; another one may."""


class BrokenError(SourceError):
    """The connection or the server failed; trying again may help."""


class Answer(NamedTuple):
    """An open response: where in the file its bytes begin, and the size of the whole file, where known."""

    response: Any
    begin: int
    total: int | None


@dataclass(frozen=True)
class PartialFile:
    """A partial download from one address, with a tag beside it that identifies the server's file."""

    path: Path

    @property
    def tag(self) -> Path:
        """The file that holds the server's ETag, or the time of its last change."""
        return self.path.with_name(f"{self.path.name}.tag")

    def size(self) -> int:
        """Return how many bytes have arrived."""
        return self.path.stat().st_size if self.path.exists() else 0

    def discard(self) -> None:
        """Remove what has arrived."""
        self.path.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)

    def restart(self, response: Any) -> None:
        """Start from the first byte: remove what has arrived, and save the tag of the response."""
        self.discard()
        tag = response.headers.get("ETag", "")
        if not tag or tag.startswith("W/"):  # a weak one does not promise the same bytes
            tag = response.headers.get("Last-Modified", "")
        if tag:
            write_text(self.tag, tag)


def open_download(url: str, partial: PartialFile) -> Answer:
    """Request the rest of `partial`, or the whole file if `partial` cannot be resumed.

    It cannot be resumed without a tag, because the server's file may have changed.

    Raises
    ------
    BrokenError: the connection or the server failed.
    SourceError: the server refuses.
    """
    start = partial.size() if partial.tag.exists() else 0
    if start:
        tag = partial.tag.read_text(encoding="utf-8")
        response = _open(url, {"Range": f"bytes={start}-", "If-Range": tag})
        answer = None if response is None else _answer(response)
        if answer is not None and answer.begin in (0, start):
            return answer
        if response is not None:
            response.close()
        partial.discard()
    answer = _answer(_open(url, {}))
    if answer.begin:
        answer.response.close()
        raise SourceError("it does not send the file from its first byte")
    return answer


def reason(error: Exception) -> str:
    """Return in a few words why a connection failed."""
    inner = getattr(error, "reason", error)
    return str(getattr(inner, "strerror", None) or inner) or type(inner).__name__


def _open(url: str, headers: dict[str, str]) -> Any:
    """Return the open response, or None if the range begins beyond the end of the server's file."""
    own = {"User-Agent": f"dmix/{__version__}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=own | headers)  # noqa: S310 (http and https, by the table)
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
    except urllib.error.HTTPError as error:
        with error:
            if headers and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return None
            kind = BrokenError if error.code >= 500 or error.code in TRANSIENT else SourceError
            raise kind(f"HTTP {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise BrokenError(reason(error)) from error


def _answer(response: Any) -> Answer:
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        found = RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None:
            return Answer(response, -1, None)
        return Answer(response, int(found[1]), None if found[2] == "*" else int(found[2]))
    length = response.headers.get("Content-Length")
    return Answer(response, 0, int(length) if length else None)
