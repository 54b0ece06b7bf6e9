"""Finds the code that differs between two source trees, and the runs that use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dmix.accept.tree import Runs
from dmix.errors import DmixError
from dmix.grid.equivalent import use_key
from dmix.grid.promise import differences

RUN = "run"


@dataclass(frozen=True)
class Change:
    """A part that differs between the trees, with the digests of a line of reference/equivalent.csv."""

    part: str
    new: str
    old: str


@dataclass(frozen=True)
class Affected:
    """Differences between two trees.

    Attributes
    ----------
    changes: parts with another digest or name. runs: tier -> run -> the changes that it uses.
    other: names of runs whose settings differ too; they cannot be compared.
    """

    changes: tuple[Change, ...]
    runs: Mapping[str, Mapping[str, frozenset[Change]]]
    other: tuple[str, ...]


def affected(old: Runs, new: Runs) -> Affected:
    """Compare the runs of two trees that have the same name.

    Raises
    ------
    DmixError: one new digest would have two old equals.
    """
    changes: dict[Change, None] = {}
    runs: dict[str, dict[str, frozenset[Change]]] = {}
    other: dict[str, None] = {}
    for tier in (tier for tier in new if tier in old):
        for name in (name for name in new[tier] if name in old[tier]):
            found = _changes(old[tier][name], new[tier][name])
            if found is None:
                other[name] = None
            elif found:
                changes |= dict.fromkeys(found)
                runs.setdefault(tier, {})[name] = frozenset(found)
    olds: dict[str, Change] = {}
    for change in changes:
        before = olds.setdefault(change.new, change)
        if before.old != change.old:
            raise DmixError(
                f"{change.part} is today what {before.part} is, and they were different before",
                "accept one edit at a time",
            )
    return Affected(tuple(changes), runs, tuple(other))


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change] | None:
    """Return the changes between two versions of a run; None if settings other than part names differ."""
    renamed = _renamed(old["identity"], new["identity"])
    if renamed is None:
        return None
    if old["parts"] is None:  # a tree from before digests of parts
        return [*renamed, Change(RUN, new["whole"], old["folder"].rpartition("-")[2])]
    names = {change.part: (change.old, change.new) for change in renamed}
    before = old["parts"]
    found = list(renamed)
    for part, digest in new["parts"].items():
        section, _, use = part.partition("/")
        was = next((o for o, n in names.values() if n == use_key(section, use)), use_key(section, use))
        label = part if not use else was.replace(".use=", "/")
        if label not in before:
            return None
        if before[label] != digest:
            found.append(Change(part, digest, before[label]))
    return found


def _renamed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change] | None:
    """Return the renamed parts if two identities differ in nothing else, or None."""
    found: dict[Change, None] = {}
    for line in differences(old, new):
        key, _, values = line.partition(": ")
        before, arrow, today = values.partition(" -> ")
        *_, section, last = ("", *key.split("."))
        if last != "use" or not arrow or not (before.startswith('"') and today.startswith('"')):
            return None
        part = f"{section}.use"
        change = Change(part, use_key(section, today.strip('"')), use_key(section, before.strip('"')))
        found[change] = None
    return list(found)


def covering(uses: Mapping[str, frozenset[str]]) -> list[str]:
    """Return a small set of runs that together use every part (greedy set cover); `uses`: run -> parts."""
    left = set().union(*uses.values())
    chosen = []
    while left:
        chosen.append(max(uses, key=lambda run: len(uses[run] & left)))
        left -= uses[chosen[-1]]
    return chosen
