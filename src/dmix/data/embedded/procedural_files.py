"""What the writers of drawn ImageNet-like sets share: the ids of classes and the encoding of images."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

QUALITY = 75
GREY_EVERY = 20  # one file in so many is grey, as some of the genuine ones are


def wnid(label: int) -> str:
    """Return an id in the form of WordNet's that no genuine class has."""
    return f"n9{label:07d}"


def encode(pixels: npt.NDArray[np.uint8], serial: int) -> bytes:
    """Return uint8 (H, W, 3) as a JPEG, grey where `serial` is a multiple of GREY_EVERY.

    The bytes are those of the JPEG encoder that the locked Pillow brings; its arithmetic is in whole numbers.
    """
    image = Image.fromarray(pixels)
    if serial % GREY_EVERY == 0:
        image = image.convert("L")
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY, subsampling="4:2:0", optimize=True)
    return stream.getvalue()
