"""A verdict in words: its numbers, its cells, the paper's own arithmetic, a tier in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dmix.claims.rules import Word
from dmix.claims.schema import Claim
from dmix.claims.verdict import NOT_AT_THIS_SCALE, WORDS, CellVerdict, Verdict
from dmix.grid.expand import Grid
from dmix.report.numbers import fixed, signed

ARITHMETIC = {"holds": "bear it out", "partly": "bear it out in part", "fails": "speak against it"}
STATED = {"holds": "true as printed", "partly": "true in part as printed", "fails": "false as printed"}
NOT_PRINTED = "no number at hand"
SOURCES = {
    "paper": "the paper's",
    "openmixup": "OpenMixup's",
    "leaderboard": "a leaderboard's",
    "none": "no source's",
}


def numbers(found: Verdict | CellVerdict, unit: str) -> str:
    """Return effect, 95 % interval, unit and seeds: "+1.35 points [-0.15, 2.85], n = 2"; "" without any."""
    if found.effect is None:
        return ""
    times = unit == "times"
    effect = f"{fixed(found.effect) if times else signed(found.effect)} {unit}"
    ends = "" if found.low is None or found.high is None else f" [{_end(found.low)}, {_end(found.high)}]"
    return f"{effect}{ends}, n = {found.n}"


def told(cell: CellVerdict, unit: str) -> str:
    """Return the numbers of a cell, and which of its rivals or steps are not decided."""
    return "; ".join(filter(None, (numbers(cell, unit), cell.note)))


def _end(value: float) -> str:
    return fixed(value + 0.0)


def counted(verdict: Verdict) -> str:
    """Return how many cells have which word by themselves: "18 cells: 1 supported, 17 undecided"."""
    if not verdict.cells:
        return ""
    counts = ", ".join(f"{count} {word}" for word, count in verdict.counts.items())
    return f"{plural(len(verdict.cells), 'cell')}: {counts}"


def summary(verdict: Verdict, *, cells: bool = True) -> str:
    """Return a line: numbers, reason, cells where the claim is of several, and the verdict at one alpha.

    Parameters
    ----------
    cells: whether to count them; where they are listed beside it, they are not.
    """
    shown = numbers(verdict, verdict.unit)
    if verdict.reason == NOT_AT_THIS_SCALE:
        return f"{verdict.reason} ({shown})" if shown else verdict.reason
    parts = [shown, verdict.reason]
    if verdict.word != "not run":
        several = cells and getattr(verdict.claim.comparison, "across", "mean") != "mean"
        parts += [counted(verdict) if several else "", same_alpha(verdict)]
    return "; ".join(filter(None, parts))


def same_alpha(verdict: Verdict) -> str:
    """Return the verdict over pairs of one alpha: "at one alpha supported, +0.90 points [0.40, 1.40]"."""
    other = verdict.one_alpha
    if other is None:
        return ""
    return f"at one alpha {', '.join(filter(None, (other.word, numbers(other, other.unit))))}"


def printed(claim: Claim) -> str:
    """Return what published numbers say of the claim: "bear it out in part (the paper's)"."""
    paper = claim.paper
    if claim.kind == "proposition":
        return STATED.get(paper.supports, NOT_PRINTED)
    if paper.supports == "not_printed":
        return NOT_PRINTED
    return f"{ARITHMETIC[paper.supports]} ({SOURCES.get(paper.source, 'of no source')})"


def grouped(verdicts: Iterable[Verdict]) -> list[tuple[Word, list[Verdict]]]:
    """Return the verdicts by word, headline claims first; words that no claim has are left out."""
    listed = sorted(verdicts, key=lambda each: each.claim.role != "headline")
    groups = [(word, [each for each in listed if each.word == word]) for word in WORDS]
    return [(word, here) for word, here in groups if here]


def tally(verdicts: Sequence[Verdict]) -> str:
    """Return "53 claims: 6 supported, 47 not run"."""
    counts = ", ".join(f"{len(here)} {word}" for word, here in grouped(verdicts))
    return f"{plural(len(verdicts), 'claim')}: {counts}"


def caution(grid: Grid, verdicts: Sequence[Verdict]) -> str:
    """Return what to know before reading the verdicts of a tier."""
    if grid.params.tiers[grid.tier].edition == "embedded":
        return (
            "Embedded data say nothing of the paper's tables, whose claims are not run at this scale: their "
            "numbers, in brackets, are no evidence. Mechanisms are judged on embedded data, mathematics by "
            "tests."
        )
    decided = [v for v in verdicts if v.effect is not None and v.word in ("supported", "contradicted")]
    said = "Each verdict is read by itself, at 2.5 % a side, and is about the noise of training, no more."
    if not decided:
        return said
    wrong = fixed(0.025 * len(decided))
    holds = sum(verdict.survives for verdict in decided)
    return (
        f"{said} Of {len(decided)} that are decided by intervals, {wrong} may be wrong by chance; "
        f"{plural(holds, 'headline claim')} stay{'s' if holds == 1 else ''} supported by Holm's procedure."
    )


def plural(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
