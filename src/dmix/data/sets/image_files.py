"""Encoded images on disk: the contract, single files, and decoding."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from dmix.errors import DmixError


class ImageFiles(Protocol):
    """A sequence of encoded images; picklable and small, because worker processes get a copy.

    `names` are used in messages and in the fingerprint.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The path of each image relative to the data set, N of them."""
        ...

    def sizes(self) -> npt.NDArray[np.int64]:
        """Return the number of bytes of each image, (N,)."""
        ...

    def read(self, index: int) -> bytes:
        """Return the bytes of one image."""
        ...


@dataclass(frozen=True, eq=False)
class LooseFiles:
    """One file for each image, below `root`."""

    root: Path
    names: tuple[str, ...]

    def sizes(self) -> npt.NDArray[np.int64]:
        """Return the number of bytes of each file, (N,).

        Raises
        ------
        OSError: a file is missing.
        """
        return np.fromiter(((self.root / name).stat().st_size for name in self.names), np.int64)

    def read(self, index: int) -> bytes:
        """Return the bytes of one file."""
        return (self.root / self.names[index]).read_bytes()


def decode(data: bytes, name: str) -> npt.NDArray[np.uint8]:
    """Return the encoded image `data` as RGB, uint8 (H, W, 3).

    Raises
    ------
    DmixError: the bytes are not an image, or end too early; the message has `name`.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DmixError(
            f"the image {name} is damaged: {error}", "get the data set again, or compare it with its source"
        ) from error
