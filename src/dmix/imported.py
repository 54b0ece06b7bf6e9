"""Keeps the source of every dmix module as this process compiled it.

A digest of the files on disk can be wrong: if a file is edited between a job's start and the import of the
module, the new code trains under the old digest. So the compiled bytes are kept, and
`dmix.grid.code.edited_since` compares them with what the run's identity hashed.

dmix's own modules are compiled without bytecode caches: Python accepts a cache whose size and time in seconds
match the source, which may hold after an edit within a second. Compiling all of dmix takes less than half a
second.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

SOURCES: dict[str, bytes] = {}
"""Module name -> the bytes of its file that were compiled."""


class _Loader(SourceFileLoader):
    """Compiles a module from its source, and keeps the source."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        source = self.get_data(path)
        SOURCES[fullname] = source
        code: CodeType = self.source_to_code(source, path)
        return code


class _Finder(MetaPathFinder):
    """Finds dmix's modules as Python does, and loads them by `_Loader`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith("dmix."):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def keep_sources() -> None:
    """Keep the source of every module of dmix that is imported from now on."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
