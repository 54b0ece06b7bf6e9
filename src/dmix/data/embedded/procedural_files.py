"""Class ids and JPEG encoding of the procedural data sets."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

QUALITY = 75
GREY_EVERY = 20  # one file in 20 is grey, as some of the genuine ones are


def wnid(label: int) -> str:
    """Return an id like WordNet's that no genuine class has."""
    return f"n9{label:07d}"


def encode(pixels: npt.NDArray[np.uint8], serial: int) -> bytes:
    """Return uint8 (H, W, 3) as a JPEG, grey where `serial` is a multiple of GREY_EVERY.

    The bytes are those of the locked Pillow's JPEG encoder, which computes in integers.
    """
    image = Image.fromarray(pixels)
    if serial % GREY_EVERY == 0:
        image = image.convert("L")
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY, subsampling="4:2:0", optimize=True)
    return stream.getvalue()
