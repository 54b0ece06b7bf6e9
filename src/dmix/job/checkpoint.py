"""The resume state of a run on disk: whole or absent, and only ever plain data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from dmix.errors import DmixError
from dmix.files import atomic_write


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) to `path`, whole or not at all."""
    with atomic_write(path) as stream:
        torch.save(state, stream)


def load(path: Path, device: torch.device) -> dict[str, Any] | None:
    """Return the state at `path` with tensors on `device`, or None where there is none.

    Raises
    ------
    DmixError: the file is damaged. Files are renamed into place, so this is not a killed run's doing.
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
