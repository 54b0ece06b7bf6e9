"""Pairs of images mixed by every policy, with lam and the true share of the own object below each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pandas as pd
from annotated_types import Gt, Interval
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from dmix.errors import DmixError
from dmix.part import part
from dmix.plot.source import Drawn, Source
from dmix.show.figure import TRUTH
from dmix.show.mixups import Gallery, gallery

COLUMNS = ["dataset", "pair", "policy", "own", "partner", "lam", "share", "stage"]
UNTRAINED = "\n(untrained)"
LINE = 8  # points from a line of text below a picture to the next
NOTHING = "None of the data sets is on this machine."


@part
def mixups(
    source: Source,
    *,
    datasets: tuple[str, ...],
    pairs: Annotated[int, Gt(0)],
    lam: Annotated[float, Interval(ge=0, le=1)],
    row_height: float = 0.72,
) -> Drawn:
    """Draw a row for each pair of each data set, a column for each policy.

    Parameters
    ----------
    datasets: those that are not on this machine are left out, which the caption says. pairs: of each.
    lam: where a policy draws lam. row_height: in inches.
    """
    galleries: dict[str, Gallery] = {}
    notes: list[str] = []
    for name in datasets:
        try:
            galleries[name] = gallery(source.grid, name, lam, source.runs_root, source.data_root, pairs=pairs)
        except DmixError as error:
            notes.append(f"{source.title('dataset', name)} is left out: {error.message}.")
    notes += dict.fromkeys(line for found in galleries.values() for line in found.lacking)
    data = numbers(galleries)
    titles = _titles(galleries.values())
    rows = sum(len(each.batch.labels) // 2 for each in galleries.values())
    if not rows:
        figure = source.canvas(row_height)
        figure.text(0.5, 0.5, NOTHING, ha="center", va="center")
        return Drawn(figure, data, alt=NOTHING, says=" ".join(notes))
    figure = source.canvas(row_height * rows + 0.55)
    _draw(figure, source, galleries, titles)
    return Drawn(figure, data, alt=_alt(source, data), says=" ".join((*_says(galleries), *notes)))


def numbers(galleries: Mapping[str, Gallery]) -> pd.DataFrame:
    """Return one row for each mixed picture: its classes, lam, true share (NaN: not known) and stage."""
    rows = [
        [
            name,
            pair,
            column.title.removesuffix(UNTRAINED),
            *picture.classes,
            picture.lam,
            picture.share,
            picture.stage,
        ]
        for name, found in galleries.items()
        for column in found.columns
        for pair, picture in enumerate(column.pictures)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _titles(galleries: Any) -> list[str]:
    """Return the title of every column that a gallery has, without the mark of untrained ones."""
    return list(
        dict.fromkeys(column.title.removesuffix(UNTRAINED) for each in galleries for column in each.columns)
    )


def _draw(figure: Figure, source: Source, galleries: Mapping[str, Gallery], titles: Sequence[str]) -> None:
    rows = [(name, pair) for name, each in galleries.items() for pair in range(len(each.batch.labels) // 2)]
    axes = figure.subplots(len(rows), 2 + len(titles), squeeze=False)
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0.04, hspace=0.02))
    for axis, title in zip(axes[0], ("own image", "partner", *titles), strict=True):
        axis.set_title(title, fontsize=7, rotation=40, ha="left", va="bottom", x=0.2, pad=2)
    for (name, pair), line in zip(rows, axes, strict=True):
        found = galleries[name]
        images = found.batch.images.transpose(0, 2, 3, 1)
        for axis, side in zip(line, (0, 1), strict=False):
            _show(axis, images[2 * pair + side])
            _below(axis, 1, f"class {found.batch.labels[2 * pair + side]}")
        if pair == 0:
            line[0].set_ylabel(source.title("dataset", name), fontsize=7)
        columns = {column.title.removesuffix(UNTRAINED): column for column in found.columns}
        for axis, title in zip(line[2:], titles, strict=True):
            if title not in columns:
                axis.axis("off")
                continue
            picture, untrained = columns[title].pictures[pair], columns[title].title.endswith(UNTRAINED)
            _show(axis, picture.pixels)
            _below(axis, 1, rf"$\lambda$ {picture.lam:.2f}" + ("*" if untrained else ""))
            if picture.stage:
                _below(axis, 2, f"(stage {picture.stage})")
            elif not math.isnan(picture.share):
                _below(axis, 2, rf"$\underline{{{picture.share:.2f}}}$", color=TRUTH)


def _show(axis: Axes, pixels: Any) -> None:
    axis.imshow(pixels, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)


def _below(axis: Axes, line: int, text: str, color: str = "black") -> None:
    """Write centred on line 1 or 2 below the picture."""
    axis.annotate(
        *(text, (0.5, 0), (0, -LINE * line)),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va="baseline",
        fontsize=6.5,
        color=color,
    )


def _says(galleries: Mapping[str, Gallery]) -> list[str]:
    """Return sentences on columns that are no finished run's, and on objects that are not known."""
    untrained = sorted(
        {
            column.title.removesuffix(UNTRAINED)
            for found in galleries.values()
            for column in found.columns
            if column.title.endswith(UNTRAINED)
        }
    )
    sentences = [f"*: {', '.join(untrained)} as before training."] if untrained else []
    for known, words in (("mask", "masks"), ("box", "bounding boxes"), ("", "nothing, so there is no share")):
        names = [
            found.subject.partition(",")[0] for found in galleries.values() if found.batch.known == known
        ]
        if names:
            sentences.append(f"Objects of {', '.join(names)} are known from {words}.")
    return sentences


def _alt(source: Source, data: pd.DataFrame) -> str:
    """Return the mean absolute difference of share and lam for every policy."""
    off = (data["share"] - data["lam"]).abs().groupby(data["policy"], sort=False).mean().dropna()
    said = ", ".join(f"{policy} {value:.2f}" for policy, value in off.items())
    names = ", ".join(source.title("dataset", name) for name in dict.fromkeys(data["dataset"]))
    known = f" Mean distance of lam and true share: {said}." if said else ""
    return f"Grid of images of {names}, each pair mixed by every policy.{known}"
