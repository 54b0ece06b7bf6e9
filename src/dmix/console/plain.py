"""Prints an overview as plain lines, for pipes and logs: each names the table or the run that it is about."""

from __future__ import annotations

from collections.abc import Iterator

from dmix.console.overview import Overview
from dmix.grid.finished import Outcome
from dmix.grid.progress import duration
from dmix.grid.status import State

LISTED: tuple[State, ...] = ("running", "hangs", "stopped", "damaged", "failed")


def lines(found: Overview) -> Iterator[str]:
    """Yield the lines: tables, device hours, then each run that is under way or has a problem."""
    for table, count in found.counts.items():
        parts = ", ".join(f"{count[state]} {state}" for state in found.shown)
        yield f"{found.tier} {table}: {parts} of {sum(count.values())}"
    yield f"{found.tier}: {found.hours}"
    yield from details(found)


def details(found: Overview) -> Iterator[str]:
    """Yield what unblocks runs, what finished lately, and each run that is under way or has a problem."""
    for way_out, runs in found.blocked.items():
        yield f"{runs} blocked: {way_out}"
    for name, said in found.recent():
        yield f"finished: {name}: {outcome(said)}"
    for state in LISTED:
        here = found.of(state)
        yield from (
            f"{state}: {run.name}: {run.failure if state == 'failed' else run.detail}" for run in here
        )
        if here and state == "running":
            yield f"their curves: dmix curves NAME --tier {found.tier}"


def outcome(said: Outcome) -> str:
    """Return score, time and device of a finished run: "top-1 81.25 %, about 3 hours on cpu"."""
    score = "" if said.score is None else f"top-1 {said.score:.2f} %"
    took = "" if said.seconds is None else f"{duration(said.seconds)} on {said.device or 'an unknown device'}"
    return ", ".join(filter(None, (score, took, said.finished)))
