"""Sums up a survey for people: runs by table and state, those under way, failures and device hours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dmix.grid.finished import Outcome
from dmix.grid.progress import duration
from dmix.grid.status import STATES, TO_TRAIN, RunStatus, State
from dmix.grid.survey import Survey


@dataclass(frozen=True)
class Overview:
    """The state of a tier, or of a selection, at one time.

    Attributes
    ----------
    counts: table -> state -> number of its runs; `shown` are the states that occur.
    runs: runs and class relations, each once. finished: run -> what its record says; with `since`, only runs
        that finished then or later.
    used_hours: device hours of all finished runs. left_hours: expected ones of those that can be trained.
    """

    tier: str
    counts: Mapping[str, Counter[State]]
    runs: tuple[RunStatus, ...]
    finished: Mapping[str, Outcome]
    used_hours: float
    left_hours: float
    since: datetime | None = None

    @property
    def shown(self) -> tuple[State, ...]:
        """States that a run has."""
        return tuple(state for state in STATES if any(count[state] for count in self.counts.values()))

    def of(self, state: State) -> list[RunStatus]:
        """Return the runs and class relations in a state."""
        return [each for each in self.runs if each.state == state]

    @property
    def blocked(self) -> Counter[str]:
        """Command that unblocks runs -> number of blocked runs."""
        return Counter(each.detail for each in self.of("blocked"))

    @property
    def hours(self) -> str:
        """Hours used and left, in words."""
        text = f"{self.used_hours:,.1f} device hours used, about {self.left_hours:,.1f} left"
        busy = len(self.of("running"))
        if busy and self.left_hours:
            text += f": {duration(3600 * self.left_hours / busy)} with {_runs(busy)} at a time"
        return text

    def recent(self) -> list[tuple[str, Outcome]]:
        """Return the runs that finished since `since`, the last one last; none without it."""
        if self.since is None:
            return []
        return sorted(self.finished.items(), key=lambda item: item[1].finished)


def overview(
    tier: str,
    parts: Mapping[str, Sequence[str]],
    found: Survey,
    hours: Mapping[str, float],
    since: datetime | None = None,
    failed_at: Mapping[str, float] | None = None,
) -> Overview:
    """Return the overview of a survey.

    Parameters
    ----------
    parts: table, or name of a selection -> its runs. hours: run -> expected device hours.
    since: leaves out of `finished`, and of the failed runs, those from before; needs `failed_at`.
    failed_at: name -> time of the failure in seconds since the epoch, of failed runs.
    """
    statuses = found.statuses
    used = sum((said.seconds or 0.0) * said.processes for said in found.finished.values()) / 3600
    left = sum(_left(status, hours) for status in statuses.values() if status.state in TO_TRAIN)
    runs = (*statuses.values(), *found.relations.values())
    finished = {name: said for name, said in found.finished.items() if not said.problem}
    if since is not None:
        runs = tuple(_unless_old(runs, since, failed_at or {}))
        finished = {name: said for name, said in finished.items() if _is_since(said.finished, since)}
    counts = {part: Counter(statuses[name].state for name in names) for part, names in parts.items()}
    return Overview(tier, counts, tuple(runs), finished, used, left, since)


def _left(status: RunStatus, hours: Mapping[str, float]) -> float:
    """Return the device hours that a run still takes: as it says itself, else as planned."""
    progress = status.progress
    if progress is not None and progress.seconds_left is not None:
        return progress.seconds_left / 3600
    return hours[status.name]


def _unless_old(
    runs: Iterable[RunStatus], since: datetime, failed_at: Mapping[str, float]
) -> Iterable[RunStatus]:
    """Yield the runs; of those that failed before `since` only the state."""
    for run in runs:
        old = run.state == "failed" and failed_at.get(run.name, 0.0) < since.timestamp()
        yield replace(run, state="missing", failure=None) if old else run


def _is_since(finished: str, since: datetime) -> bool:
    try:
        return datetime.fromisoformat(finished) >= since
    except ValueError:
        return False  # an old record does not say when


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
