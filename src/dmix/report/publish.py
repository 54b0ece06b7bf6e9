"""Copies a generated file to its published name, and leaves an equal one alone."""

from __future__ import annotations

from pathlib import Path

from dmix.errors import DmixError
from dmix.files import atomic_write


def publish(source: Path, target: Path) -> bool:
    """Copy `source` over `target` where their bytes differ; return whether it did.

    An equal target keeps its modification time, so that nothing that depends on it is made again.

    Raises
    ------
    DmixError: `source` cannot be read, or `target` cannot be written.
    """
    try:
        content = source.read_bytes()
    except OSError as error:
        raise DmixError(f"cannot read {source}: {error.strerror}", "render the table first") from error
    if target.is_file() and target.read_bytes() == content:
        return False
    with atomic_write(target) as stream:
        stream.write(content)
    return True
