"""Which runs each claim needs, and which would decide those that are open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from dmix.claims.cells import cells_of
from dmix.claims.schema import Claim
from dmix.claims.verdict import Verdict
from dmix.grid.expand import Grid


@dataclass(frozen=True)
class Open:
    """The claims that are not decided.

    Attributes
    ----------
    needs: claim -> names of the runs that would decide it.
    cannot: claim -> why no run of the tier, or of this machine, decides it.
    """

    needs: Mapping[str, Set[str]]
    cannot: Mapping[str, str]


def runs_by_claim(claims: Iterable[Claim], grid: Grid) -> Mapping[str, tuple[str, ...]]:
    """Return claim -> names of the runs that it compares at the grid's tier, of claims that have any."""
    found = {
        claim.id: dict.fromkeys(name for cell in cells_of(claim, grid) for name in cell.names)
        for claim in claims
        if not claim.needs
    }
    return {name: tuple(runs) for name, runs in found.items() if runs}


def open_claims(verdicts: Iterable[Verdict], grid: Grid) -> Open:
    """Return which runs would decide each open claim; with a run, what it starts from is needed too."""
    needs: dict[str, Set[str]] = {}
    cannot: dict[str, str] = {}
    for verdict in verdicts:
        if verdict.word in ("supported", "contradicted"):
            continue
        if why := _why_not(verdict, grid):
            cannot[verdict.claim.id] = why
        else:
            needs[verdict.claim.id] = _with_sources(verdict.deciding, grid)
    return Open(needs, cannot)


def _why_not(verdict: Verdict, grid: Grid) -> str:
    if not verdict.deciding:
        return verdict.reason
    if any(name not in grid.runs for name in verdict.deciding):
        return f"{verdict.reason}: seeds that tier {grid.tier} does not have"
    if ways_out := {way for name in verdict.deciding if (way := grid.blocked(name))}:
        return f"blocked here: {'; '.join(sorted(ways_out))}"
    return ""


def _with_sources(names: Iterable[str], grid: Grid) -> frozenset[str]:
    sources = (grid.runs[name].source for name in names)
    return frozenset({*names, *(source.name for source in sources if source and source.name in grid.runs)})
