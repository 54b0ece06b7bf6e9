"""Replays runs by old and new code, and records their equivalence if all bits are equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from dmix.accept.affected import RUN, Affected, Change, affected, covering
from dmix.accept.replay import TRAIN, Command, Outcome, first_difference, other_product, replay, with_needs
from dmix.accept.tree import Described, Runs, Tree, both_trees, full_hash
from dmix.errors import DmixError
from dmix.grid.equivalent import TABLE, Line, add_equivalences

Tell = Callable[[str], None]


def accept(since: str, because: str, tier: str, tell: Tell) -> int:
    """Replay runs of `tier` by the code of `since` and by today's; write lines if all bits are equal.

    Compared are the weights after every step, the final weights, the history and the scores, on the CPU. The
    replayed runs together use every part of the affected runs; one of them is also stopped and resumed.

    Parameters
    ----------
    since: the commit whose code finished runs were trained with.
    because: the reason for the edit, for the file. tell: prints a line of progress.
    tier: smoke, whose runs have every part and take a second or two; or the tier whose runs are to stay done
        where networks of the smoke tier, a few channels wide, round otherwise.

    Returns
    -------
    The exit status: 0 if lines were written or none was needed.

    Raises
    ------
    DmixError: a run differs (the first differing step is named), or no run of the tier uses what changed.
    """
    commit = full_hash(since)
    with both_trees(commit) as (old, new):
        before, today = old.runs(), new.runs()
        if tier not in today:
            raise DmixError(f"there is no tier {tier}", f"known are {', '.join(today)}")
        found = affected(before, today)
        if found.other:
            tell(f"{len(found.other)} runs have other settings too and are left out, as {found.other[0]}")
        if not found.changes:
            tell(f"no run is made of other code than at {commit[:10]}: there is nothing to accept")
            return 0
        uses = _parts_of_affected(found, today, tier)
        shown, rest = _shown(found, today, frozenset().union(*uses.values()))
        tell(f"{_counted(found)} are made of other code than at {commit[:10]}")
        if rest:
            tell(f"left out, because no run of the {tier} tier uses it: {_named(rest)}")
        if not shown:
            raise _refused("there is nothing to replay")
        chosen = covering(uses)
        tell(f"replaying {len(chosen)} runs of the {tier} tier on the CPU, by both")
        commands = with_needs(tier, chosen, today[tier])
        _compare(old, new, commands, today[tier], tell)
    lines = [Line(change.part, change.new, change.old, " ".join(chosen), because, commit) for change in shown]
    add_equivalences(TABLE, lines)
    tell(f"all bits are equal: {len(lines)} lines added to {TABLE}; commit it with the edit")
    tell("this was shown on the CPU: what a GPU computes cannot be replayed bit for bit")
    return 0


def _parts_of_affected(found: Affected, today: Runs, tier: str) -> dict[str, frozenset[str]]:
    """Return run -> its parts, of the affected runs of a tier."""
    return {name: frozenset(today[tier][name]["parts"]) for name in found.runs.get(tier, {})}


def _named(changes: Sequence[Change]) -> str:
    """Return the names of changed parts; of older code only the number of kinds of runs is known."""
    parts = sorted({change.part for change in changes} - {RUN})
    kinds = sum(change.part == RUN for change in changes)
    return ", ".join([*parts, *([f"what {kinds} kinds of runs are made of"] if kinds else [])])


def _shown(found: Affected, today: Runs, replayed: frozenset[str]) -> tuple[list[Change], list[Change]]:
    """Return the changes that the replayed parts show to be equal, and those that they cannot."""
    rest: dict[Change, None] = {}
    for tier, runs in found.runs.items():
        for name, changes in runs.items():
            parts = frozenset(today[tier][name]["parts"])
            for change in changes:
                # of a tree from before digests of parts only that of all parts together is known
                needed = parts if change.part == RUN else {change.part} & parts
                if not needed <= replayed:
                    rest[change] = None
    return [change for change in found.changes if change not in rest], list(rest)


def _compare(old: Tree, new: Tree, commands: Sequence[Command], runs: Described, tell: Tell) -> None:
    """Refuse if the trees differ in a command, or if stopping and resuming a run changes it."""
    datasets = [runs[c.name]["dataset"] for c in commands if c.verb == TRAIN]
    before, after = replay([(old, commands), (new, commands)], datasets)
    if problem := first_difference(before, after, commands):
        raise _refused(problem)
    for command in commands:
        tell(f"  equal: {command.name}")
    stopped = _to_stop(commands, before, runs)
    _forget(new, stopped)
    (resumed,) = replay([(new, [stopped])], datasets)
    if problem := _other_after_stop(before, resumed, stopped):
        raise _refused(problem)
    tell(f"  equal: {stopped.name}, stopped after step {stopped.stop_at} and resumed")


def _to_stop(commands: Sequence[Command], before: Outcome, runs: Described) -> Command:
    """Return the run that is made of the most, to be stopped in the middle; of equals, one that mixes images.

    A run without mixing draws no random numbers of its own, so that it cannot show that they are restored.
    """
    trained = [(number, command) for number, command in enumerate(commands) if command.verb == TRAIN]
    number, command = max(
        trained, key=lambda item: (len(runs[item[1].name]["parts"]), runs[item[1].name]["mixes"])
    )
    return replace(command, stop_at=max(1, len(before.steps[number]) // 2))


def _other_after_stop(before: Outcome, resumed: Outcome, stopped: Command) -> str | None:
    problem = other_product(before.products[stopped.name], resumed.products[stopped.name])
    return problem and f"{stopped.name}, stopped after step {stopped.stop_at} and resumed: {problem}"


def _forget(tree: Tree, command: Command) -> None:
    """Remove the results and the resume state of a run, so that it trains again."""
    for root in ("results", "work"):
        for folder in (tree.path / root).glob(f"**/{command.name}-*"):
            for path in sorted(folder.rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()


def _refused(problem: str) -> DmixError:
    return DmixError(
        f"not accepted, nothing was written: {problem}",
        "undo the edit that changes numbers, or let these runs train again",
        exit_code=1,
    )


def _counted(found: Affected) -> str:
    counts: Mapping[str, int] = {tier: len(runs) for tier, runs in found.runs.items()}
    return ", ".join(f"{count} runs of tier {tier}" for tier, count in counts.items())
