"""Marks and legends that the forms of mixed-sample accuracy share: open is MCE, filled is DM."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dmix.plot.source import Source
from dmix.plot.style import GREY

PLAIN = ("ce", "mce")
CLEAN = "clean"


def fill_of(objective: str, color: str) -> str:
    """Return the colour that fills a mark: white for a loss without DM."""
    return "white" if objective in PLAIN else color


def line_of(objective: str) -> Literal["--", "-"]:
    """Return the line style: dashed for a loss without DM."""
    return "--" if objective in PLAIN else "-"


def symbol(color: str, marker: str, fill: str, label: str) -> Line2D:
    """Return a legend entry that is a mark without a line."""
    return Line2D([], [], color=color, marker=marker, linestyle="", markerfacecolor=fill, label=label)


def entries(source: Source, objectives: Iterable[str]) -> list[Line2D]:
    """Return the legend entries of objectives of mixed labels, grey diamonds, as ordered in `params.yaml`."""
    return [
        symbol(GREY, "D", fill_of(name, GREY), source.title("objective", name))
        for name in ordered(source, objectives)
    ]


def ordered(source: Source, objectives: Iterable[str]) -> list[str]:
    """Return those of the objectives that are losses of mixed labels, each once, as in `params.yaml`."""
    there = set(objectives)
    return [
        name for name, entry in source.params.objectives.items() if name in there and entry.group != CLEAN
    ]


def titled(source: Source, keys: Sequence[object]) -> str:
    """Return "Mixup with MCE" for the keys of a group, a policy and an objective."""
    policy, objective = (str(key) for key in keys)
    return f"{source.title('policy', policy)} with {source.title('objective', objective)}"


def legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Put a legend in one line above the axes; below, it would overprint their shared label."""
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=1.2)
