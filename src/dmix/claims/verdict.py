"""What is said of a claim: the word, the numbers behind it, and what would decide it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from dmix.claims.rules import Word
from dmix.claims.schema import Claim

WORDS: tuple[Word, ...] = ("supported", "contradicted", "undecided", "not run")
NOT_AT_THIS_SCALE = "not run at this scale"


@dataclass(frozen=True)
class CellVerdict:
    """One cell by itself, without regard to the others.

    Attributes
    ----------
    effect, low, high: mean over seeds and its 95 % interval; of several contrasts, those of the weakest. None
    without runs, and the interval with one seed.
    note: which rivals or steps are not decided. runs: names. n: seeds.
    """

    title: str
    word: Word
    effect: float | None
    low: float | None
    high: float | None
    n: int
    note: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What the runs of a tier say of a claim.

    Attributes
    ----------
    effect, low, high: the mean over all cells, oriented so that more is for the claim, and its 95 % interval
        over seed means; of a best value or an order, the weakest contrast. None where there is none.
    unit: of these, "points" for example. n: seeds behind the word.
    p: one-sided p value of the claim's negation; 1 without evidence.
    hours: that devices spent on the finished runs.
    seeds: about how many more seeds of these runs would decide, if means and spreads stay; None where the
        word is decided, where runs are missing, or beyond `MOST_SEEDS` of dmix.claims.judge.
    deciding: names of the runs that would decide it: the missing ones, else those of the seeds to come.
    one_alpha: the same over pairs of one alpha, where alpha changes with the loss.
    survives: of a headline claim, whether it stays supported by Holm's procedure over all of them.
    """

    claim: Claim
    word: Word
    reason: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    n: int = 0
    p: float = 1.0
    cells: tuple[CellVerdict, ...] = ()
    hours: float = 0.0
    seeds: int | None = None
    deciding: tuple[str, ...] = ()
    one_alpha: Verdict | None = None
    survives: bool = False

    @property
    def counts(self) -> Mapping[Word, int]:
        """Word -> number of cells that have it by themselves."""
        found = Counter(cell.word for cell in self.cells)
        return {word: found[word] for word in WORDS if found[word]}
