"""Saves and loads the resume state of a run: atomically, and as plain data only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from dmix.errors import DmixError
from dmix.files import atomic_write


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) to `path`, atomically.

    Raises
    ------
    CannotWrite: as `atomic_write`; the checkpoint before is kept.
    """
    with atomic_write(path) as stream:
        try:
            torch.save(state, stream)
        except RuntimeError as error:
            # Its writer fails in a way of its own after the stream could not be written.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load(path: Path, device: torch.device) -> dict[str, Any] | None:
    """Return the state at `path` with tensors on `device`, or None if there is no file.

    Raises
    ------
    DmixError: the file is damaged; not by a killed run, because files are renamed into place.
    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise DmixError(
            f"the checkpoint {path} is damaged: {error}",
            "delete it to train this run from the start",
            exit_code=1,
        ) from error
    return state
