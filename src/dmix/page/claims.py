"""Turns verdicts into what the page shows of each claim."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dmix.claims.rules import Word
from dmix.claims.verdict import Verdict
from dmix.claims.words import counted, grouped, printed, summary, told

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Shown:
    """A claim on the page.

    Attributes
    ----------
    result: numbers and reason in a line. published: what published numbers say; number: these numbers.
    cells: title, word and numbers of each cell; counted: how many have which word.
    """

    id: str
    claim: str
    section: str
    headline: bool
    result: str
    published: str
    number: str
    contradicted_if: str
    confounders: tuple[str, ...]
    counted: str
    cells: tuple[tuple[str, Word, str], ...]


def shown(verdicts: Iterable[Verdict]) -> list[tuple[Word, list[Shown]]]:
    """Return the claims by word, headline claims first."""
    return [(word, [_shown(verdict) for verdict in here]) for word, here in grouped(verdicts)]


def counts(verdicts: Sequence[Verdict]) -> list[tuple[Word, int]]:
    """Return how many claims have each word."""
    return [(word, len(here)) for word, here in grouped(verdicts)]


def _shown(verdict: Verdict) -> Shown:
    claim = verdict.claim
    return Shown(
        id=claim.id,
        claim=claim.claim,
        section=claim.section,
        headline=claim.role == "headline",
        result=_typeset(summary(verdict)),
        published=printed(claim.paper),
        number=claim.paper.number,
        contradicted_if=claim.contradicted_if,
        confounders=claim.confounders,
        counted=counted(verdict),
        cells=tuple((cell.title, cell.word, _typeset(told(cell, verdict.unit))) for cell in verdict.cells),
    )


def _typeset(text: str) -> str:
    """Return text with a minus before negative numbers, in place of a hyphen."""
    return "".join(
        MINUS if mark == "-" and text[at + 1 : at + 2].isdigit() and not text[at - 1 : at].isalnum() else mark
        for at, mark in enumerate(text)
    )
