"""Reads drawn figures for the page: small pictures with the description and the caption of each."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from dmix.errors import DmixError
from dmix.grid.expand import Grid
from dmix.reading import read_json

SIZES = ((1200, 64), (1000, 48), (800, 48), (640, 32))
"""Width in pixels and number of colours, tried in this order until a picture is small."""
MOST_BYTES = 60_000
DRAW = "dmix figure"


@dataclass(frozen=True)
class Figure:
    """A figure on the page; `picture` is "" where it is not drawn yet.

    Attributes
    ----------
    picture: a data URI. width, height: of the picture in pixels. alt: for those who cannot see it.
    """

    name: str
    number: str
    title: str
    caption: str
    alt: str
    picture: str = ""
    width: int = 0
    height: int = 0


def all_figures(grid: Grid, folder: Path) -> tuple[Figure, ...]:
    """Return every figure of the tier in the order of its number; `folder` has the drawn ones.

    Raises
    ------
    DmixError: a description or a picture cannot be read.
    """
    return tuple(_figure(name, entry.number, entry.title, folder) for name, entry in grid.figures.items())


def _figure(name: str, number: str, title: str, folder: Path) -> Figure:
    about, picture = folder / f"{name}.json", folder / f"{name}.png"
    if not (about.exists() and picture.exists()):
        return Figure(name, number, title, "", "")
    told = read_json(about, f"draw it again: {DRAW} {name}")
    try:
        width, height, content = small_png(picture)
        return Figure(
            name=name,
            number=str(told["number"]),
            title=str(told["title"]),
            caption=str(told["caption"]),
            alt=str(told["alt"]),
            picture=f"data:image/png;base64,{base64.b64encode(content).decode()}",
            width=width,
            height=height,
        )
    except (KeyError, OSError, ValueError) as error:
        raise DmixError(
            f"the figure {name} in {folder} cannot be read: {error}", f"draw it again: {DRAW} {name}"
        ) from error


def small_png(path: Path) -> tuple[int, int, bytes]:
    """Return width, height and bytes of a PNG with a palette, made smaller until it has `MOST_BYTES`.

    Pixels that were transparent are white. The smallest of `SIZES` is taken even if it is larger.
    """
    with Image.open(path) as opened:
        whole = opened.convert("RGBA")
    flat = Image.new("RGB", whole.size, "white")
    flat.paste(whole, mask=whole.getchannel("A"))
    for width, colours in SIZES:
        scale = min(1.0, width / flat.width)
        size = (round(flat.width * scale), max(1, round(flat.height * scale)))
        picture = flat.resize(size, Image.Resampling.LANCZOS).quantize(colours, dither=Image.Dither.NONE)
        stream = io.BytesIO()
        picture.save(stream, "png", optimize=True)
        if stream.tell() <= MOST_BYTES:
            break
    return (*size, stream.getvalue())
