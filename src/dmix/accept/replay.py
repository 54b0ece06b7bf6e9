"""Trains the same runs in two source trees, and finds the first difference of the outcomes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmix.accept.tree import Described, Tree
from dmix.reading import read_json

RESULTS = Path("results")
TRAIN = "train"
RELATE = "relate"


@dataclass(frozen=True)
class Command:
    """A run or class relation of a tier to train, stopped after step `stop_at` if given, and resumed."""

    tier: str
    verb: str
    name: str
    stop_at: int | None = None

    @property
    def arguments(self) -> list[str]:
        """The arguments of `dmix`."""
        return [self.verb, self.name, "--tier", self.tier, "--device", "cpu"]


@dataclass(frozen=True)
class Outcome:
    """Outcome of the commands in one tree.

    Attributes
    ----------
    steps: index of a command -> digests of the weights after each of its steps.
    products: name of a run or class relation -> its results.
    """

    steps: Mapping[int, Sequence[str]]
    products: Mapping[str, Mapping[str, Any]]


def with_needs(tier: str, names: Iterable[str], runs: Described) -> list[Command]:
    """Return the commands that train the runs `names` of a tier, preceded by those that they need."""
    commands: dict[Command, None] = {}
    for name in names:
        needs = runs[name]
        if needs["source"]:
            commands[Command(tier, TRAIN, needs["source"])] = None
        if needs["relation"]:
            commands[Command(tier, RELATE, needs["relation"])] = None
        commands[Command(tier, TRAIN, name)] = None
    return list(commands)


def replay(trees: Sequence[tuple[Tree, Sequence[Command]]], datasets: Iterable[str]) -> list[Outcome]:
    """Run each tree's commands in that tree, all trees at the same time.

    Raises
    ------
    DmixError: a command failed.
    """
    names = sorted(set(datasets))
    with ThreadPoolExecutor(len(trees)) as pool:
        return list(pool.map(lambda work: _replayed(work[0], work[1], names), trees))


def first_difference(old: Outcome, new: Outcome, commands: Sequence[Command]) -> str | None:
    """Return the run and step at which two outcomes of the same commands first differ, or None."""
    for number, command in enumerate(commands):
        before, today = old.steps.get(number, ()), new.steps.get(number, ())
        for step, (one, other) in enumerate(zip(before, today, strict=False), start=1):
            if one != other:
                return f"{command.name}: other weights after step {step} of {len(before)}"
        if len(before) != len(today):
            return f"{command.name}: {len(before)} steps before, {len(today)} today"
        if problem := other_product(old.products[command.name], new.products[command.name]):
            return f"{command.name}: all {len(before)} steps give the same weights, but {problem}"
    return None


def other_product(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Return the first result of a run that differs (final weights, history or scores), or None."""
    for what in dict.fromkeys((*old, *new)):
        if old.get(what) != new.get(what):
            return f"the {what} is {new.get(what)} and was {old.get(what)}"
    return None


def _replayed(tree: Tree, commands: Sequence[Command], datasets: Sequence[str]) -> Outcome:
    tree.script("run_command.py", "data", "embed", *datasets)
    listed = [{"arguments": command.arguments, "stop_at": command.stop_at} for command in commands]
    trace = tree.path / "trace.jsonl"
    tree.script("traced.py", str(trace), json.dumps(listed))
    steps: dict[int, list[str]] = {}
    for line in trace.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        steps.setdefault(row["command"], []).append(row["weights"])
    return Outcome(steps, {command.name: _products(tree, command) for command in commands})


def _in_any(results: Path, folders: Sequence[str], pattern: str) -> list[Path]:
    """Return the files that match in any of the folders: an older tree may have other ones than today's."""
    return [path for folder in folders for path in (results / folder).glob(pattern)]


def _products(tree: Tree, command: Command) -> Mapping[str, Any]:
    results = tree.path / RESULTS / command.tier
    if command.verb == RELATE:
        (record,) = _in_any(results, ("relations", "records"), f"{command.name}-*/relation.json")
        return {"class relation": read_json(record)["matrix_sha256"]}
    (record,) = _in_any(results, ("runs", "records"), f"{command.name}-*/record.json")
    said = read_json(record)
    with record.with_name("history.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {
        "sha256 of the final weights": said["weights_sha256"],
        **{f"history's {key} at step {row['step']}": value for row in rows for key, value in row.items()},
        "scores": said["scores"],
    }
