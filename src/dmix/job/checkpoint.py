"""Saves and loads the resume state of a run: atomically, and as plain data only."""

from __future__ import annotations

import zipfile
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
    DmixError: the file is no checkpoint or a damaged one; not by a killed run, because files are renamed into
        place.
    """
    if not path.exists():
        return None
    try:
        # torch reads the tensors without comparing the checksums that it wrote: a flipped bit would train on.
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise unusable(path, f"is damaged: the checksum of {damaged!r} is another")
        state = torch.load(path, map_location=device, weights_only=True)
    except DmixError:
        raise
    except Exception as error:  # torch has no common error; its texts advise to run what is in the file
        raise unusable(path, f"is damaged ({type(error).__name__})") from error
    if not isinstance(state, dict):
        raise unusable(path, "is no checkpoint of a run")
    return state


def unusable(path: Path, problem: str) -> DmixError:
    """Return the error for a checkpoint from which no run can go on."""
    return DmixError(
        f"the checkpoint {path} {problem}", "delete it to train this run from the start", exit_code=1
    )
