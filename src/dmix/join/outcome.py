"""What becomes of one product of a source, and what is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["taken", "weights", "there"]
TAKEN: Outcome = "taken"
WEIGHTS: Outcome = "weights"
THERE: Outcome = "there"


@dataclass(frozen=True)
class Options:
    """Options of joining.

    Attributes
    ----------
    weights: take those of the runs too. dry_run: verify and compare, and write nothing.
    """

    weights: bool = True
    dry_run: bool = False
