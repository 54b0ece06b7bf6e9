"""Chooses how many runs share a device by what `dmix measure` found there: rates together, and memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dmix.grid.expand import Grid
from dmix.grid.gpus import Kind
from dmix.grid.speed import SPEED, Speed, Step, read_speeds, step_of

NEAR = 0.95
"""Of numbers that reach this share of the best rate the smallest is taken: each run then ends sooner."""

Reason = Literal["packed", "no gain", "memory", "not measured"]
ALONE: Mapping[Reason, str] = {
    "no gain": "no faster together",
    "memory": "no memory for two",
    "not measured": "not measured alone and together",
}


@dataclass(frozen=True)
class Choice:
    """How many runs like one share a device, why, and their rate together over that of one alone."""

    together: int
    reason: Reason
    gain: float = 1.0


class Measured:
    """Chooses for each run of a grid, by the measurements of the devices at hand.

    Parameters
    ----------
    kinds: of these devices; a run shares each of them with as many others.
    speeds: measurements, by default those of results/speed.csv.
    """

    def __init__(self, grid: Grid, kinds: Sequence[Kind], speeds: Iterable[Speed] | None = None) -> None:
        self._grid, self._kinds = grid, kinds
        self._rows: dict[Step, list[Speed]] = {}
        for row in read_speeds() if speeds is None else speeds:
            self._rows.setdefault(row.step, []).append(row)
        self._chosen: dict[Step, Choice] = {}

    def __getitem__(self, name: str) -> Choice:
        """Return the choice for the run `name`."""
        step = step_of(self._grid.runs[name])
        if step not in self._chosen:
            rows = self._rows.get(step, [])
            of_kinds = [choose([r for r in rows if kind.is_device(r.device)], kind) for kind in self._kinds]
            self._chosen[step] = min(of_kinds, key=lambda choice: choice.together)
        return self._chosen[step]

    def told(self, recipes: Collection[str]) -> str:
        """Return one line for people: which of the recipes are packed and why, and which are not measured."""
        by_reason: dict[Reason, dict[str, set[Choice]]] = {}
        only = self._grid.only
        for name, cell in self._grid.cells.items():
            if cell.recipe in recipes and (only is None or name in only):
                choice = self[name]
                by_reason.setdefault(choice.reason, {}).setdefault(cell.recipe, set()).add(choice)
        parts = [_packed(recipe, these) for recipe, these in sorted(by_reason.pop("packed", {}).items())]
        parts += [
            f"{ALONE[reason]}: {', '.join(sorted(by_reason[reason]))}"
            for reason in ALONE
            if reason in by_reason
        ]
        if "not measured" in by_reason:
            parts[-1] += f" (dmix measure --tier {self._grid.tier} --together 1 2 4)"
        devices = ", ".join(map(str, self._kinds))
        return f"packing by {SPEED} on {devices}: {'; '.join(parts) or 'no run'}"


def choose(rows: Iterable[Speed], kind: Kind) -> Choice:
    """Return the number of runs on one device that trains the most images/s and whose memory fits.

    Parameters
    ----------
    rows: measurements of one training step on devices of this kind. Without one of a run alone and one of
        several, nothing is known of what sharing gains.
    """
    of_count = {row.together: row for row in rows}
    if 1 not in of_count or len(of_count) == 1:
        return Choice(1, "not measured")
    rate = {count: row.images_per_s for count, row in of_count.items()}
    fitting = {count for count, row in of_count.items() if kind.has_room(row.memory_mb, count)} | {1}
    found = _smallest_near_best({count: rate[count] for count in fitting})
    if found > 1:
        return Choice(found, "packed", rate[found] / rate[1])
    return Choice(1, "no gain" if _smallest_near_best(rate) == 1 else "memory")


def _smallest_near_best(rate: Mapping[int, float]) -> int:
    best = max(rate.values())
    return min(count for count, reached in rate.items() if reached >= NEAR * best)


def _packed(recipe: str, choices: Collection[Choice]) -> str:
    """Return "cifar 2 to 4 runs (1.3 to 2.1 x the images/s of one)"."""
    counts = _range(f"{choice.together}" for choice in sorted(choices, key=lambda each: each.together))
    gains = _range(f"{gain:.1f}" for gain in sorted(choice.gain for choice in choices))
    return f"{recipe} {counts} runs ({gains} x the images/s of one)"


def _range(values: Iterable[str]) -> str:
    all_values = [*values]
    first, last = all_values[0], all_values[-1]
    return first if first == last else f"{first} to {last}"
