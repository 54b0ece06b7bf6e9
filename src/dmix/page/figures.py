"""Reads drawn figures for the page: small pictures with the description and the caption of each."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from dmix.errors import DmixError
from dmix.grid.expand import Grid
from dmix.reading import read_json

ATTEMPTS: tuple[tuple[int, int | None], ...] = ((1200, None), (1200, 80), (1000, 70), (800, 60), (640, 50))
"""Greatest width in pixels, and quality in percent (None: without loss)."""
MOST_BYTES = 500_000
"""Of all pictures of a page together."""
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


@dataclass(frozen=True)
class Picture:
    """A picture as WebP, and its size in pixels."""

    width: int
    height: int
    content: bytes

    @property
    def address(self) -> str:
        """The picture as a data URI."""
        return f"data:image/webp;base64,{base64.b64encode(self.content).decode()}"


def all_figures(grid: Grid, folder: Path) -> tuple[Figure, ...]:
    """Return every figure of the tier in the order of its number; `folder` has the drawn ones.

    Raises
    ------
    DmixError: a description or a picture cannot be read.
    """
    files = {name: (folder / f"{name}.json", folder / f"{name}.png") for name in grid.figures}
    drawn = {name: picture for name, (told, picture) in files.items() if told.exists() and picture.exists()}
    try:
        pictures = dict(zip(drawn, together(list(drawn.values()), MOST_BYTES), strict=True))
    except (OSError, ValueError) as error:
        raise DmixError(f"a figure in {folder} cannot be read: {error}", f"draw it again: {DRAW}") from error
    return tuple(
        _told(name, files[name][0], pictures[name])
        if name in pictures
        else Figure(name, entry.number, entry.title, "", "")
        for name, entry in grid.figures.items()
    )


def _told(name: str, path: Path, picture: Picture) -> Figure:
    """Return a drawn figure with its words, which are in `path`."""
    words = read_json(path, f"draw it again: {DRAW} {name}")
    try:
        number, title, caption, alt = (str(words[key]) for key in ("number", "title", "caption", "alt"))
    except KeyError as error:
        raise DmixError(f"{path} has no {error}", f"draw it again: {DRAW} {name}") from error
    return Figure(name, number, title, caption, alt, picture.address, picture.width, picture.height)


def together(paths: Sequence[Path], most: int) -> list[Picture]:
    """Return the pictures, made smaller until they have at most `most` bytes together.

    The largest one always takes its next of `ATTEMPTS`; those that have none left stay as they are.
    """
    attempts = [0] * len(paths)
    found = [small(path, 0) for path in paths]
    while sum(len(picture.content) for picture in found) > most:
        left = [index for index, attempt in enumerate(attempts) if attempt < len(ATTEMPTS) - 1]
        if not left:
            break
        largest = max(left, key=lambda index: len(found[index].content))
        attempts[largest] += 1
        found[largest] = small(paths[largest], attempts[largest])
    return found


def small(path: Path, attempt: int) -> Picture:
    """Return a picture in the width and quality of one of `ATTEMPTS`; transparent pixels become white."""
    width, quality = ATTEMPTS[attempt]
    with Image.open(path) as opened:
        whole = opened.convert("RGBA")
    flat = Image.new("RGB", whole.size, "white")
    flat.paste(whole, mask=whole.getchannel("A"))
    scale = min(1.0, width / flat.width)
    size = (round(flat.width * scale), max(1, round(flat.height * scale)))
    stream = io.BytesIO()
    picture = flat.resize(size, Image.Resampling.LANCZOS)
    picture.save(stream, "webp", lossless=quality is None, quality=quality or 50)
    return Picture(*size, stream.getvalue())
