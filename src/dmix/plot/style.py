"""Colours, markers and lines of figures; sizes and type are in dmix.mplstyle.

Colour says the family of a policy, and the marker says it again, so that no figure is read by colour alone.
Policies of one family differ in their markers. An objective is told by line and filling: the last one, the
paper's, is solid and filled, those it is compared with are broken and open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.style import context

from dmix.grid.schema import Params, PolicyEntry

INCHES: Mapping[str, float] = {"full": 5.5, "half": 2.7}
SHEET = Path(__file__).with_name("dmix.mplstyle")
LineStyle = Literal["-", "--", "-.", ":", "none"] | tuple[float, Sequence[float]]
GREY = "#767676"
BLACK = "#262626"


@dataclass(frozen=True)
class Look:
    """Colour and marker of a family of policies; every colour has a contrast above 3.9 on white."""

    color: str
    marker: str


@dataclass(frozen=True)
class Stroke:
    """Line of an objective, and whether its markers are filled."""

    line: LineStyle
    filled: bool


LOOKS: Mapping[str, Look] = {
    "none": Look(GREY, "x"),
    "interpolation": Look("#0072b2", "o"),
    "cutting": Look("#d35d00", "^"),
    "dynamic": Look("#117733", "D"),
    "static": Look(BLACK, "o"),
}
# Of further policies of one family, in the order of params.yaml.
MORE_MARKERS: Mapping[str, str] = {"x": "+1234", "o": "hp8H", "^": "vs<>", "D": "P*Xd"}
SOLID = Stroke("-", filled=True)
BROKEN = (
    Stroke("--", filled=False),
    Stroke("-.", filled=False),
    Stroke((0, (5, 1, 1, 1, 1, 1)), filled=False),
)
DOTTED = Stroke(":", filled=False)  # of what is not mixed


def look_of(policy: PolicyEntry) -> Look:
    """Return how a policy is drawn: by its family, a dynamic one as dynamic."""
    return LOOKS["dynamic" if policy.kind == "dynamic" else policy.family]


def looks_of(params: Params, names: Iterable[str]) -> Mapping[str, Look]:
    """Return how each policy of `names` is drawn where all of them share axes: no two have one marker."""
    wanted = set(names)
    found: dict[str, Look] = {}
    for name, policy in params.policies.items():
        if name in wanted:
            look = look_of(policy)
            markers = look.marker + MORE_MARKERS[look.marker]
            before = sum(other.color == look.color for other in found.values())
            found[name] = replace(look, marker=markers[before % len(markers)])
    return found


def strokes_of(params: Params, names: Iterable[str]) -> Mapping[str, Stroke]:
    """Return the line of each objective of `names`: solid for the last one in the order of `params.yaml`."""
    *others, last = [name for name in params.objectives if name in set(names)] or [""]
    return {name: BROKEN[index % len(BROKEN)] for index, name in enumerate(others)} | {last: SOLID}


def line(look: Look, stroke: Stroke) -> dict[str, Any]:
    """Return the keywords with which `Axes.plot` draws a line of this look and stroke."""
    return {
        "color": look.color,
        "marker": look.marker,
        "linestyle": stroke.line,
        "markerfacecolor": look.color if stroke.filled else "white",
        "markeredgecolor": look.color,
    }


@contextmanager
def styled() -> Iterator[None]:
    """Draw with dmix's style in the block, whatever the user's own matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        with context(str(SHEET)):
            yield
