"""Specification of a run: one cell of the grid with one seed, and all its resolved settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from dmix.grid.by_id import KEPT, ById
from dmix.grid.equivalent import Equivalences, equivalences
from dmix.grid.identity import Sections, recorded

AXES = ("method", "dataset", "backbone", "policy", "objective")
SECTIONS = (
    *("dataset", "labels", "backbone", "recipe", "optimizer", "schedule", "augment", "strong", "view"),
    *("policy", "objective", "method", "addon", "relation"),
)
DIGEST_LENGTH = 8


@dataclass(frozen=True)
class RunSpec:
    """The resolved, immutable settings of one run.

    Attributes
    ----------
    task: "supervised", "transfer" or "semi".
    axes: axis -> name of the entry, in the order of `AXES`; two-stream methods also have `addon`, whose
        policy and objective these are.
    settings: section -> key -> value, JSON values only. In sections of parts, `use` names the module.
    variation: extra grid axes ("objective.eta" -> 0.5), which become segments of the name.
    neutral: section -> key -> the value at which an option changes nothing.
    source: the run whose weights this one starts from, if any.
    relation: the class relation that is learned before this run, if any (Co-Tuning).
    """

    task: str
    axes: Mapping[str, str]
    settings: Mapping[str, Mapping[str, Any]]
    variation: tuple[tuple[str, Any], ...]
    neutral: Mapping[str, Mapping[str, Any]]
    seed: int
    source: RunSpec | None = None
    relation: RunSpec | None = None

    @cached_property
    def cell(self) -> str:
        """The run's name without the seed: supervised/cifar100/resnet18/mixup/dm_ce[/eta=0.5].

        An extra axis appears by its key, a choice of a part (schedule.use) by its section.
        """
        method = () if self.axes.get("method", self.task) == self.task else (self.axes["method"],)
        split = [(*key.split(".", 1), value) for key, value in self.variation]
        extra = [f"{section if key == 'use' else key}={value}" for section, key, value in split]
        axes = (self.axes[axis] for axis in AXES[1:] if axis in self.axes)
        return "/".join((self.task, *method, *axes, *extra))

    @cached_property
    def name(self) -> str:
        """The run's name: the cell, then the seed as s0, s1, ..."""
        return f"{self.cell}/s{self.seed}"

    def identity(self) -> dict[str, Any]:
        """Return the settings without neutral ones, the seed, and the identities of source and relation."""
        whole: dict[str, Any] = {**self._recorded().sections}
        if self.source is not None:
            whole["source"] = self.source.identity()
        if self.relation is not None:
            whole["relation"] = self.relation.identity()
        return {**whole, "seed": self.seed}

    def canonical(self) -> str:
        """Return the canonical JSON of the identity; the text of each section is made once for all seeds."""
        members = {**self._recorded().members, "seed": f'"seed":{self.seed}'}
        if self.source is not None:
            members["source"] = f'"source":{self.source.canonical()}'
        if self.relation is not None:
            members["relation"] = f'"relation":{self.relation.canonical()}'
        return "{" + ",".join(members[key] for key in sorted(members)) + "}"

    def digest(self) -> str:
        """Return the spec digest: 8 hexadecimal digits of sha256 over the canonical identity."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:DIGEST_LENGTH]

    def _recorded(self) -> _Recorded:
        # The section `relation` is in the identity of the class relation.
        apart = ("relation",) if self.relation is not None else ()
        return _record(ById(self.settings), ById(self.neutral), apart, equivalences())


@dataclass(frozen=True)
class _Recorded:
    """Settings in the recorded form, and section -> the canonical JSON of its name and value."""

    sections: Mapping[str, Mapping[str, Any]]
    members: Mapping[str, str]


@lru_cache(maxsize=KEPT)
def _record(
    settings: ById[Sections], neutral: ById[Sections], apart: tuple[str, ...], known: Equivalences
) -> _Recorded:
    """Return the recorded form, which all seeds of a cell share, but for the sections `apart`."""
    own = {section: values for section, values in settings.value.items() if section not in apart}
    found = recorded(own, neutral.value, known)
    return _Recorded(found, {key: _member(key, ById(values)) for key, values in found.items()})


@lru_cache(maxsize=KEPT)
def _member(key: str, values: ById[Mapping[str, Any]]) -> str:
    return f"{canonical_json(key)}:{canonical_json(values.value)}"


def canonical_json(value: object) -> str:
    """Return JSON with sorted keys and without white space; equal for equal values. NaN is an error."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(value: object) -> str:
    """Return the first 8 hexadecimal digits of sha256 over the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:DIGEST_LENGTH]
