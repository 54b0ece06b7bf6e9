"""Colours, markers and sizes of figures; the rest is in dmix.mplstyle.

Colour says the kind and family of a policy, marker and line say the same once more, so that no figure is
read by colour alone: open and dashed is MCE, filled and solid is DM.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.style import context

from dmix.grid.schema import PolicyEntry

INCHES: Mapping[str, float] = {"full": 5.5, "half": 2.7}
SHEET = Path(__file__).with_name("dmix.mplstyle")
GREY = "#767676"


@dataclass(frozen=True)
class Look:
    """Colour and marker of a kind and family of policies; every colour has a contrast above 3.9 on white."""

    color: str
    marker: str


LOOKS: Mapping[str, Look] = {
    "none": Look(GREY, "x"),
    "interpolation": Look("#0072b2", "o"),
    "cutting": Look("#d55e00", "^"),
    "dynamic": Look("#117733", "D"),
}


def look_of(policy: PolicyEntry) -> Look:
    """Return how a policy is drawn: by its family, a dynamic one as dynamic."""
    return LOOKS["dynamic" if policy.kind == "dynamic" else policy.family]


@contextmanager
def styled() -> Iterator[None]:
    """Draw with dmix's style in the block, whatever the user's own matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        with context(str(SHEET)):
            yield
