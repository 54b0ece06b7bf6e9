"""A file system on which each operation takes milliseconds, as on a network; counts operations."""

from __future__ import annotations

import builtins
import io
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CALLS = (
    *("stat", "lstat", "scandir", "listdir", "open", "mkdir", "rename", "replace", "unlink", "utime"),
    *("link", "readlink", "rmdir", "access"),
)
READ = "open for reading"  # two operations on a server: to open, and to get the content


class SlowFiles:
    """Delays every operation on paths below the current folder.

    `counts` has how many of each there were, `most` how many were under way at one time.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.seconds = seconds
        self.counts: Counter[str] = Counter()
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()
        self._here = str(Path.cwd())
        for name in CALLS:
            monkeypatch.setattr(os, name, self._slow(name, getattr(os, name), 1))
        for module in (builtins, io):
            monkeypatch.setattr(module, "open", self._slow(READ, open, 2))

    @property
    def operations(self) -> int:
        """All operations."""
        return sum(count * (2 if name == READ else 1) for name, count in self.counts.items())

    def _slow(self, name: str, act: Callable[..., Any], operations: int) -> Callable[..., Any]:
        def delayed(path: Any, *others: Any, **named: Any) -> Any:
            if self._concerns(path):
                with self._lock:
                    self.counts[name] += 1
                    self._now += 1
                    self.most = max(self.most, self._now)
                time.sleep(operations * self.seconds)
                with self._lock:
                    self._now -= 1
            return act(path, *others, **named)

        return delayed

    def _concerns(self, path: Any) -> bool:
        if isinstance(path, int):
            return False
        text = os.fsdecode(path)
        return not text.startswith("/") or text.startswith(self._here)
