"""Chooses what to run next: the most claims that a number of hours can decide."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A claim that is to be decided: the runs that it needs beyond the claims before it, and their hours."""

    claim: str
    runs: tuple[str, ...]
    hours: float


@dataclass(frozen=True)
class Choice:
    """The claims that are decided, in the order in which they cost least, and the others' hours.

    Attributes
    ----------
    left_out: claim -> hours that it needs beyond the chosen runs.
    """

    steps: tuple[Step, ...]
    left_out: Mapping[str, float]

    @property
    def runs(self) -> tuple[str, ...]:
        """All chosen runs, those of the first claim first."""
        return tuple(name for step in self.steps for name in step.runs)

    @property
    def hours(self) -> float:
        """Hours of all chosen runs."""
        return sum(step.hours for step in self.steps)


def choose(needs: Mapping[str, Set[str]], hours: Mapping[str, float], budget: float) -> Choice:
    """Return the largest set of claims whose runs take at most `budget` hours; of several, the shortest.

    A claim counts when all of its runs are chosen; a run that several need is paid once. This is a knapsack
    with shared items, solved exactly as a mixed-integer programme.

    Parameters
    ----------
    needs: claim -> names of the runs that would decide it, at least one. hours: run -> hours, above 0.
    budget: at least 0.
    """
    claims = list(needs)
    chosen = _largest(claims, needs, hours, budget) if claims else set()
    steps = _ordered([claim for claim in claims if claim in chosen], needs, hours)
    bought = {name for step in steps for name in step.runs}
    left_out = {claim: _total(needs[claim] - bought, hours) for claim in claims if claim not in chosen}
    return Choice(steps, left_out)


def _largest(
    claims: Sequence[str], needs: Mapping[str, Set[str]], hours: Mapping[str, float], budget: float
) -> set[str]:
    """Return the claims of the optimum.

    Runs that the same claims need are one item: there are thousands of runs and few such groups.
    """
    import numpy as np  # these two only here: commands that choose nothing start faster
    from scipy.optimize import Bounds, LinearConstraint, milp  # type: ignore[import-untyped]

    users: dict[str, list[int]] = {}
    for index, claim in enumerate(claims):
        for name in needs[claim]:
            users.setdefault(name, []).append(index)
    groups: dict[tuple[int, ...], float] = {}
    for name, used_by in users.items():
        groups[tuple(used_by)] = groups.get(tuple(used_by), 0.0) + hours[name]
    price = np.array(list(groups.values()))
    n, m = len(claims), len(groups)
    # A claim counts 1; all hours together count less than one claim, so they only break ties.
    worth = np.concatenate([-np.ones(n), 0.5 * price / price.sum()])
    rows = [np.concatenate([np.zeros(n), price])]
    limits = [budget]
    for group, members in enumerate(groups):
        for index in members:  # claim <= group
            row = np.zeros(n + m)
            row[index], row[n + group] = 1.0, -1.0
            rows.append(row)
            limits.append(0.0)
    found = milp(
        worth,
        integrality=np.ones(n + m),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(np.array(rows), -np.inf, np.array(limits)),
        options={"mip_rel_gap": 0.0},
    )
    assert found.x is not None, found.message  # nothing chosen is always feasible
    return {claim for claim, value in zip(claims, found.x[:n], strict=True) if value > 0.5}


def _ordered(
    chosen: Sequence[str], needs: Mapping[str, Set[str]], hours: Mapping[str, float]
) -> tuple[Step, ...]:
    """Return the chosen claims, each time the one that takes least beyond those before it."""
    left, bought = list(chosen), set[str]()
    steps: list[Step] = []
    while left:
        more = {claim: _total(needs[claim] - bought, hours) for claim in left}
        claim = min(left, key=more.__getitem__)
        runs = tuple(name for name in hours if name in needs[claim] and name not in bought)
        steps.append(Step(claim, runs, more[claim]))
        bought |= set(runs)
        left.remove(claim)
    return tuple(steps)


def _total(names: Set[str], hours: Mapping[str, float]) -> float:
    """Return the hours of some runs, exact in any order: that of a set differs between processes."""
    return math.fsum(hours[name] for name in names)
