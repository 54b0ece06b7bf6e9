"""Reads and writes the object masks of procedural sets, one bit per pixel."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dmix.data.sets import marker
from dmix.errors import DmixError
from dmix.files import sha256


def write(path: Path, masks: npt.NDArray[np.bool_]) -> None:
    """Write bool (N, H, W) as packed bits; W is a multiple of 8."""
    if masks.shape[-1] % 8:
        raise ValueError(f"masks {masks.shape}: the width is not a multiple of 8")
    with open(path, "wb") as stream:
        np.save(stream, np.packbits(masks, axis=-1), allow_pickle=False)


def read(folder: Path, split: str) -> npt.NDArray[np.bool_]:
    """Read the masks of an embedded edition's split ("train" or "test"): bool (N, H, W).

    Raises
    ------
    DmixError: the edition has no masks, or the file is missing or damaged.
    """
    path = folder / f"masks_{split}.npy"
    expected = marker.read(folder).files.get(path.name)
    if expected is None:
        raise DmixError(f"{folder} has no masks: its objects' places are not known")
    if not path.is_file() or sha256(path) != expected:
        raise DmixError(f"{path} is missing or damaged", marker.WAY_OUT)
    packed = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    return np.unpackbits(packed, axis=-1).astype(np.bool_)
