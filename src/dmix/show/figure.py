"""Draws a gallery of mixed pictures as one figure, and saves it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmix.errors import DmixError
from dmix.files import atomic_write
from dmix.show.mixups import Gallery, Picture

TRUTH = "#c00000"
DPI = 200
# Neither date nor program is written into the file, so that equal galleries are equal bytes.
METADATA: Mapping[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def check_format(path: Path) -> None:
    """Raise DmixError where `path` does not end in .png or .pdf."""
    if path.suffix not in METADATA:
        raise DmixError(f"cannot draw {path}: its name must end in {' or '.join(METADATA)}")


def save(figure: Figure, path: Path) -> None:
    """Write the figure as its suffix says, whole or not at all."""
    with atomic_write(path) as stream:
        figure.savefig(stream, format=path.suffix[1:], dpi=DPI, metadata=METADATA[path.suffix])


def draw(gallery: Gallery) -> Figure:
    """Return the figure: a row for each pair; own image, partner and every policy as columns."""
    images, labels = gallery.batch.images.transpose(0, 2, 3, 1), gallery.batch.labels
    rows, columns = len(labels) // 2, 2 + len(gallery.columns)
    figure = Figure(figsize=(1.25 * columns, 1.6 * rows + 0.7), layout="constrained")
    axes = np.asarray(figure.subplots(rows, columns, squeeze=False))
    for title, axis in zip(
        ("own image", "partner", *(c.title for c in gallery.columns)), axes[0], strict=True
    ):
        axis.set_title(title, fontsize=8)
    for row in range(rows):
        for side in (0, 1):
            _show(axes[row, side], images[2 * row + side])
            _below(axes[row, side], 1, f"class {labels[2 * row + side]}")
        for axis, column in zip(axes[row, 2:], gallery.columns, strict=True):
            _mixed(axis, column.pictures[row])
    figure.supxlabel(_caption(gallery), fontsize=7)
    return figure


def _caption(gallery: Gallery) -> str:
    text = f"{gallery.subject}. λ: weight of the own class in the mixed label."
    if gallery.batch.cover is None:
        return text
    box = " (its bounding box)" if gallery.batch.known == "box" else ""
    return f"{text} Red: true share of the own object{box} among the visible objects."


def _mixed(axis: Axes, picture: Picture) -> None:
    _show(axis, picture.pixels)
    (own, partner), lam = picture.classes, picture.lam
    _below(axis, 1, f"λ {lam:.2f}")
    if not math.isnan(picture.share):
        _below(axis, 1, f"object {picture.share:.2f}", color=TRUTH, x=1.0, ha="right")
    _below(axis, 2, f"{own}: {lam:.2f}  {partner}: {1 - lam:.2f}")
    if picture.stage:
        note = f"mixed after\nstage {picture.stage}"
        box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 2}
        axis.text(0.5, 0.5, note, transform=axis.transAxes, ha="center", va="center", fontsize=7, bbox=box)


def _show(axis: Axes, pixels: Any) -> None:
    axis.imshow(pixels, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])


def _below(axis: Axes, line: int, text: str, x: float = 0.0, ha: str = "left", color: str = "black") -> None:
    """Write on line 1 or 2 below the picture."""
    place = (0, -1 - 9 * line)
    axis.annotate(
        text,
        (x, 0),
        place,
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=6.5,
        ha=ha,
        color=color,
    )
