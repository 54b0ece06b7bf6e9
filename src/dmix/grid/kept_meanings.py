"""Keeps what was found of the source of each module between processes, in work/meanings.json.

Reading 340 modules takes most of a second of every command. What a source means never changes: it is kept
under the SHA-256 of the source and of the code that finds it, so that an edited module is read anew.
"""

from __future__ import annotations

import atexit
import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

from dmix.errors import DmixError
from dmix.files import write_text
from dmix.grid.paths import WORK
from dmix.reading import read_json

HERE = Path(__file__).parent
FINDERS = ("code.py", "meaning.py")
"""Files whose code finds the digest and the imports of a module."""

Found = tuple[str, tuple[str, ...]]
"""Digest of a module and the names of the dmix modules that it may import."""


class KeptMeanings:
    """What is known of modules, read from a file; news are added to it at the latest when the process ends.

    Without its folder nothing is written. A file that is damaged or cannot be written costs time and nothing
    else.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known = _read(file)
        self._news: dict[str, tuple[str, Found]] = {}

    def of(self, module: str, source: bytes, find: Callable[[], Found]) -> Found:
        """Return what is known of the source of a module, or what `find` returns."""
        key = hashlib.sha256(_finders() + module.encode() + b"\0" + source).hexdigest()
        before, found = self._known.get(module, ("", ("", ())))
        if before != key:
            found = find()
            self._known[module] = self._news[module] = (key, found)
        return found

    def keep(self) -> None:
        """Add the news to the file, which other processes may have written meanwhile."""
        news, self._news = self._news, {}
        if not news or not self._file.parent.is_dir():
            return
        before = _read(self._file)
        if (after := before | news) == before:
            return
        try:
            write_text(self._file, json.dumps(after))
        except DmixError:
            return  # a folder of somebody else's: modules are read again next time


@cache
def kept_meanings() -> KeptMeanings:
    """Return what is known in this folder, the same object at every call."""
    found = KeptMeanings(WORK.absolute() / "meanings.json")
    atexit.register(found.keep)
    return found


def _read(file: Path) -> dict[str, tuple[str, Found]]:
    """Return what is kept; nothing of a file that is damaged."""
    try:
        kept = read_json(file) if file.exists() else {}
        return {
            str(module): (str(key), (str(digest), tuple(map(str, imports))))
            for module, (key, (digest, imports)) in kept.items()
        }
    except (DmixError, TypeError, ValueError):
        return {}


@cache
def _finders() -> bytes:
    return hashlib.sha256(b"".join((HERE / name).read_bytes() for name in FINDERS)).digest()
