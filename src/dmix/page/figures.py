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

ATTEMPTS: tuple[tuple[int, int | None], ...] = ((1200, None), (1200, 80), (1000, 70), (800, 60), (640, 50))
"""Greatest width in pixels and quality in percent (None: without loss), tried until a picture is small."""
MOST_BYTES = 36_000
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
        width, height, content = small(picture)
        return Figure(
            name=name,
            number=str(told["number"]),
            title=str(told["title"]),
            caption=str(told["caption"]),
            alt=str(told["alt"]),
            picture=f"data:image/webp;base64,{base64.b64encode(content).decode()}",
            width=width,
            height=height,
        )
    except (KeyError, OSError, ValueError) as error:
        raise DmixError(
            f"the figure {name} in {folder} cannot be read: {error}", f"draw it again: {DRAW} {name}"
        ) from error


def small(path: Path) -> tuple[int, int, bytes]:
    """Return width, height and bytes of a picture as WebP, the first of `ATTEMPTS` that has `MOST_BYTES`.

    Lines stay exact where they are small without loss; photographs lose some. Transparent pixels become
    white. The last attempt is taken even if it is larger.
    """
    with Image.open(path) as opened:
        whole = opened.convert("RGBA")
    flat = Image.new("RGB", whole.size, "white")
    flat.paste(whole, mask=whole.getchannel("A"))
    for width, quality in ATTEMPTS:
        scale = min(1.0, width / flat.width)
        size = (round(flat.width * scale), max(1, round(flat.height * scale)))
        stream = io.BytesIO()
        picture = flat.resize(size, Image.Resampling.LANCZOS)
        picture.save(stream, "webp", lossless=quality is None, quality=quality or 90, method=6)
        if stream.tell() <= MOST_BYTES:
            break
    return (*size, stream.getvalue())
