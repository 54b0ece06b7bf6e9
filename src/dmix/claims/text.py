"""Verdicts on a terminal, at most 100 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from dmix.claims.verdict import Verdict
from dmix.claims.words import caution, counted, grouped, numbers, printed, same_alpha, summary, tally, told
from dmix.grid.expand import Grid

WIDTH = 100
MOST_RUNS = 12


def overview(grid: Grid, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield lines: all claims by word, two lines for each that is judged, one for each that is not run."""
    yield f"Does it hold? Tier {grid.tier}, {grid.params.tiers[grid.tier].title}"
    yield tally(verdicts)
    yield from textwrap.wrap(caution(grid, verdicts), WIDTH)
    for word, here in grouped(verdicts):
        yield ""
        yield f"{word} ({len(here)})"
        for verdict in here:
            if word == "not run":
                yield _cut(f"{_mark(verdict)} {verdict.claim.id:<35} {summary(verdict)}")
            else:
                yield from textwrap.wrap(
                    f"{_mark(verdict)} {verdict.claim.claim}", WIDTH, subsequent_indent="  "
                )
                yield from _wrapped(verdict.claim.id, summary(verdict), 4)
    yield ""
    yield "* headline claim; dmix claims ID shows one with its cells, the paper's arithmetic and confounders"


def details(verdict: Verdict) -> Iterator[str]:
    """Yield lines: all that is known of one claim."""
    claim = verdict.claim
    yield f"{claim.id}: {verdict.word}"
    yield from _wrapped("", claim.claim)
    yield from _wrapped("Result", "; ".join(filter(None, (numbers(verdict, verdict.unit), verdict.reason))))
    if verdict.survives:
        yield from _wrapped("Family", "stays supported by Holm's procedure over all headline claims")
    yield from _wrapped("At one alpha", same_alpha(verdict).removeprefix("at one alpha "))
    yield from _wrapped("Cells", counted(verdict))
    for cell in verdict.cells:
        said = told(cell, verdict.unit)
        yield from _wrapped("", f"{cell.title}: {cell.word}{', ' if said else ''}{said}", 4)
    yield from _wrapped("Contradicted if", claim.contradicted_if)
    yield from _wrapped("Published", f"{printed(claim.paper)}: {claim.paper.number}")
    yield from _wrapped("Confounders", "; ".join(claim.confounders))
    yield from _wrapped("Paper", f"section {claim.section}; {claim.role}; it says: {claim.strength}")
    if verdict.hours:
        yield from _wrapped("Hours spent", f"{verdict.hours:.2f}")
    if verdict.deciding:
        more = len(verdict.deciding) - MOST_RUNS
        yield f"  Runs that would decide it ({len(verdict.deciding)}):"
        yield from (f"    {name}" for name in verdict.deciding[:MOST_RUNS])
        if more > 0:
            yield f"    and {more} more: dmix claims {claim.id} --json"


def _mark(verdict: Verdict) -> str:
    return "*" if verdict.claim.role == "headline" else " "


def _cut(line: str) -> str:
    """Return a line that fits; what is cut off is in `details`."""
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 4].rstrip()} ..."


def _wrapped(label: str, text: str, indent: int = 2) -> Iterator[str]:
    if text:
        first = f"{' ' * indent}{label}: " if label else " " * indent
        yield from textwrap.wrap(
            text, WIDTH, initial_indent=first, subsequent_indent=" " * (indent + 2), break_on_hyphens=False
        )
