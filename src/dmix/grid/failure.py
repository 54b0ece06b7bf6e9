"""The reason why a run failed: the text of its `failure.txt`, and reading it back for `dmix status`."""

from __future__ import annotations

import os
import re
import stat
import sysconfig
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dmix import PACKAGE
from dmix.errors import DmixError

_STEP = re.compile(r"step (\d+) of \d+")
_FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')
_LOG, _REFUSED = "log: ", "refused: a workflow tries it again when it is started anew"
_FOREIGN = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_MOST_BYTES = 20_000


@dataclass(frozen=True)
class Failure:
    """Why a run or class relation failed.

    Attributes
    ----------
    reason: one line. way_out: further lines: what to do, or the place in the code.
    step: finished steps when it failed, 0 before the first. log: path of the log, "" if there is none.
    refused: whether the job cannot succeed without an edit, so that it is not tried again.
    """

    reason: str
    way_out: tuple[str, ...] = ()
    step: int = 0
    log: str = ""
    refused: bool = False

    def __str__(self) -> str:
        log = (f"{_LOG}{self.log}",) if self.log else ()
        refused = (_REFUSED,) if self.refused else ()
        return "\n  ".join((self.reason, *self.way_out, *refused, *log))


def failure_of(error: Exception, log: Path) -> Failure:
    """Return the failure of an exception; bad input (a `DmixError` of exit code 2) is refused.

    Parameters
    ----------
    error: its notes (PEP 678), such as "step 3 of 80", are kept.
    log: the file that the job's output goes to; left out if it does not exist.
    """
    notes = [note.strip() for note in getattr(error, "__notes__", ())]
    if isinstance(error, DmixError):
        first, *rest = str(error).splitlines() or [""]
    else:
        first, rest = last_line(error), [f"at {place}" for place in [place_of(error)] if place]
    lines = tuple(line.strip() for line in (*rest, *notes))
    step = max((int(found[1]) for found in map(_STEP.fullmatch, notes) if found), default=0)
    refused = isinstance(error, DmixError) and error.exit_code == 2
    return Failure(first, lines, step, str(log) if log.exists() else "", refused)


def read_failure(path: Path) -> Failure | None:
    """Return the failure that `path` tells of, or None if there is no such file."""
    try:
        with open(path, "rb") as stream:
            found = os.fstat(stream.fileno())
            text = stream.read(_MOST_BYTES).decode(errors="replace") if stat.S_ISREG(found.st_mode) else ""
    except FileNotFoundError:
        return None
    except OSError as error:
        return Failure(f"{path} cannot be read: {error.strerror}")
    reason, *lines = [line.strip() for line in text.strip().splitlines()] or [f"{path} is empty"]
    log = next((line.removeprefix(_LOG) for line in lines if line.startswith(_LOG)), "")
    refused = _REFUSED in lines
    way_out = tuple(line for line in lines if line != _REFUSED and not line.startswith(_LOG))
    step = max((int(found[1]) for found in map(_STEP.fullmatch, way_out) if found), default=0)
    return Failure(reason, way_out, step, log, refused)


def last_line(error: BaseException) -> str:
    """Return type and message of an exception in one line, for a worker's exception its own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if "Original Traceback (most recent call last):" in lines:
        return lines[-1]  # DataLoader raises a worker's exception with its traceback as the message
    name = type(error).__qualname__
    return f"{name}: {lines[0]}" if lines else name


def place_of(error: BaseException) -> str:
    """Return "FILE:LINE in FUNCTION" of the innermost frame in dmix's or the user's code, or ""."""
    own = [frame for frame in _frames(error) if _is_own(frame[0])]
    if not own:
        return ""
    file, line, function = own[-1]
    path = Path(file)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{shown}:{line} in {function}"


def _frames(error: BaseException) -> Iterator[tuple[str, str, str]]:
    for frame in traceback.extract_tb(error.__traceback__):
        yield frame.filename, str(frame.lineno), frame.name
    yield from _FRAME.findall(str(error))  # of a worker process, see `last_line`


def _is_own(file: str) -> bool:
    path = Path(file)
    if path.is_relative_to(PACKAGE):
        return True  # wherever dmix is installed
    return not file.startswith("<") and not any(path.is_relative_to(folder) for folder in _FOREIGN)
