"""Counts what the page says first: coverage, hours, failures, agreement with published numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dmix.grid.expand import Grid
from dmix.grid.status import relation_status
from dmix.page.runs import Run
from dmix.page.tables import View
from dmix.report.compare import Verdict

FAILED = ("failed", "invalid", "damaged")
UNDER_WAY = ("running", "hangs", "stopped")
VERDICTS: Mapping[Verdict, str] = {
    "within 2 standard errors": "agree",
    "above": "above",
    "below": "below",
    "one seed: no standard error": "one seed",
    "not comparable: embedded data": "other data",
    "no record": "no record",
}
"""Verdict -> heading of its column; numbers that no source prints are not counted."""


@dataclass(frozen=True)
class Coverage:
    """How much of a table, or of all of them, is done."""

    table: str
    number: str
    title: str
    runs: int
    done: int
    others: tuple[tuple[str, int], ...]
    hours: float


@dataclass(frozen=True)
class Problem:
    """A run or class relation that failed: why, what to do, and where its log is."""

    name: str
    state: str
    reason: str
    way_out: tuple[str, ...]
    log: str


@dataclass(frozen=True)
class Overview:
    """The first part of the page.

    Attributes
    ----------
    whole: all runs, each once. facts: label and text. blocked: command -> number of runs that wait for it.
    """

    tier: str
    tier_title: str
    note: str
    embedded: bool
    whole: Coverage
    coverage: tuple[Coverage, ...]
    facts: tuple[tuple[str, str], ...]
    problems: tuple[Problem, ...]
    under_way: tuple[Run, ...]
    blocked: Mapping[str, int] = field(default_factory=dict)
    verdicts: tuple[tuple[str, str, Mapping[Verdict, int]], ...] = ()

    @property
    def kinds(self) -> tuple[Verdict, ...]:
        """Verdicts that occur, in the order of `VERDICTS`."""
        return tuple(kind for kind in VERDICTS if any(counts.get(kind) for *_, counts in self.verdicts))


def overview(grid: Grid, runs: Mapping[str, Run], views: Iterable[View]) -> Overview:
    """Return the overview of a tier."""
    tier = grid.params.tiers[grid.tier]
    whole = _coverage("", "", "All runs, each once", list(runs.values()))
    records = [run.record for run in runs.values() if run.record]
    return Overview(
        tier=grid.tier,
        tier_title=tier.title,
        note=" ".join(tier.note.split()),
        embedded=tier.edition == "embedded",
        whole=whole,
        coverage=tuple(
            _coverage(name, table.number, table.title, [runs[run] for run in grid.table_runs(table)])
            for name, table in grid.tables.items()
        ),
        facts=tuple(_facts(records)),
        problems=(*_problems(runs.values()), *_relations(grid)),
        under_way=tuple(run for run in runs.values() if run.state in UNDER_WAY),
        blocked=Counter(run.detail for run in runs.values() if run.state == "blocked"),
        verdicts=tuple((v.name, v.number, v.verdicts) for v in views if any(map(v.verdicts.get, VERDICTS))),
    )


def _coverage(table: str, number: str, title: str, runs: Sequence[Run]) -> Coverage:
    counts = Counter(run.state for run in runs)
    done = counts.pop("done", 0)
    hours = sum(run.seconds for run in runs) / 3600
    return Coverage(table, number, title, len(runs), done, tuple(counts.most_common()), hours)


def _facts(records: Sequence[Any]) -> Iterable[tuple[str, str]]:
    """Yield by what code, with what and when the finished runs were trained."""
    if not records:
        return
    commits = Counter(record.git_commit[:10] if record.git_commit else "unknown" for record in records)
    yield (
        "Commits",
        ", ".join(f"{commit} ({count})" for commit, count in commits.most_common(4)) + _more(commits, 4),
    )
    for name in ("dmix", "torch"):
        found = Counter(record.versions.get(name, "unknown") for record in records)
        yield f"{name} version", ", ".join(version for version, _ in found.most_common(4)) + _more(found, 4)
    devices = Counter(record.hardware.device for record in records)
    yield (
        "Devices",
        ", ".join(f"{device} ({count})" for device, count in devices.most_common(4)) + _more(devices, 4),
    )
    yield (
        "First and last",
        f"{min(r.started for r in records)[:10]} to {max(r.finished for r in records)[:10]}",
    )


def _more(counts: Counter[str], shown: int) -> str:
    return f" and {len(counts) - shown} more" if len(counts) > shown else ""


def _problems(runs: Iterable[Run]) -> Iterable[Problem]:
    for run in runs:
        if run.state not in FAILED:
            continue
        if run.failure is None:
            yield Problem(run.name, run.state, run.detail, (), "")
        else:
            failure = run.failure
            yield Problem(run.name, run.state, failure.reason, failure.way_out, failure.log)


def _relations(grid: Grid) -> Iterable[Problem]:
    for name in grid.class_relations:
        status = relation_status(grid, name)
        if status.state == "failed" and (failure := status.failure):
            yield Problem(name, "failed", failure.reason, failure.way_out, failure.log)
