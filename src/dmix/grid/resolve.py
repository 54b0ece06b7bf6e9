"""From one cell of a grid to its settings, each with the place that set it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ValidationError

from dmix.errors import DmixError
from dmix.grid.axes import AXIS
from dmix.grid.parts import read_part
from dmix.grid.schema import Override, Params, PartEntry, Recipe
from dmix.grid.spec import AXES, SECTIONS
from dmix.grid.yaml_lines import Document, KeyPath

RECIPE_NEUTRAL = {
    name: list(default) if isinstance(default, tuple) else default  # as JSON has them
    for name, field in Recipe.model_fields.items()
    if not field.is_required()
    for default in (field.get_default(),)
}


@dataclass(frozen=True)
class Setting:
    """A value and the key path of the line in `params.yaml` that set it."""

    value: Any
    origin: KeyPath


@dataclass(frozen=True)
class Cell:
    """One cell before averaging: a choice for each axis, a recipe and extra axes."""

    axes: Mapping[str, str]
    recipe: str
    variation: tuple[tuple[str, Any], ...]
    origin: KeyPath


Table = dict[tuple[str, str], Setting]

NO_VIEW = {"use": "unchanged"}
"""The test-time transform of a recipe that names none."""

OF_RECIPE = ("labels", "augment", "strong", "view")
"""Parts that a recipe brings along; of a base, a part is replaced whole."""


class Resolver:
    """Resolves cells of one `params.yaml` at one tier, and remembers which overrides were of use."""

    def __init__(self, params: Params, document: Document, tier: str) -> None:
        self.params = params
        self.document = document
        self.tier = tier
        self.matched: set[KeyPath] = set()
        self.effective: set[KeyPath] = set()
        self._check_when(("overrides",), params.overrides)
        self._check_when(("tiers", tier, "overrides"), params.tiers[tier].overrides)

    def entry(self, axis: str, name: str) -> PartEntry:
        """Return the entry `name` of the section that `axis` chooses from."""
        found: PartEntry = self.params.entries(axis)[name]
        return found

    def tags(self, cell: Cell) -> Mapping[str, str]:
        """Return what a rule's `when` can ask of a cell."""
        policy = self.params.policies[cell.axes["policy"]]
        return {
            **cell.axes,
            "recipe": cell.recipe,
            "kind": policy.kind,
            "family": policy.family,
            "group": self.params.objectives[cell.axes["objective"]].group,
            "task": self.params.methods[cell.axes["method"]].task,
        }

    def settle(self, cell: Cell) -> Table:
        """Return (section, key) -> Setting: entries, then defaults by kind and family, then rules.

        Later sources win: the entries themselves, the objective's `by_kind` and `by_family`, the
        overrides in order, the tier's overrides in order, the grid's own extra axes.
        """
        table: Table = {}
        for axis in AXES:
            self._entry_settings(table, axis, cell.axes[axis])
        self._recipe_settings(table, cell.recipe)
        objective = self.params.objectives[cell.axes["objective"]]
        tags = self.tags(cell)
        base: KeyPath = ("objectives", cell.axes["objective"])
        for field, by in (("by_kind", objective.by_kind), ("by_family", objective.by_family)):
            chosen: Mapping[str, Any] = dict(by).get(tags[field[3:]], {})  # type: ignore[call-overload]
            for key, value in chosen.items():
                self._put(table, key, value, (*base, field, tags[field[3:]], key))
        for path, rules in (
            (("overrides",), self.params.overrides),
            (("tiers", self.tier, "overrides"), self.params.tiers[self.tier].overrides),
        ):
            self._apply(table, path, rules, tags)
        for key, value in cell.variation:
            self._put(table, key, value, (*cell.origin, key))
        return table

    def sections(self, cell: Cell) -> tuple[dict[str, dict[str, Any]], dict[str, Mapping[str, Any]]]:
        """Return the validated settings and the neutral values of a cell, by section.

        Raises
        ------
        DmixError: a setting is unknown to its part, missing, of the wrong type or out of range.
        """
        table = self.settle(cell)
        settings: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        for (section, key), setting in table.items():
            settings[section][key] = setting.value
        neutral: dict[str, Mapping[str, Any]] = {"recipe": RECIPE_NEUTRAL, "view": NO_VIEW}
        for section, values in settings.items():
            if section == "recipe":
                settings[section] = self._checked(Recipe, "the recipe", section, values, table, cell)
                continue
            if not values:
                continue  # a part that this cell does without
            if "use" not in values:
                key = next(iter(values))
                raise DmixError(
                    f"{self.document.where(*table[section, key].origin)}: {section}.{key} is set, but the "
                    f"cell {'/'.join(cell.axes.values())} has no {section}",
                    f"set {section}.use too, or restrict the rule to cells that have one",
                )
            use = values.pop("use")
            part = read_part(section, use)
            if part is not None:
                values = self._checked(part.model, part.source, section, values, table, cell)
                neutral[section] = {**neutral.get(section, {}), **part.neutral}
            settings[section] = {"use": use, **values}
        return settings, neutral

    def useless_rules(self) -> Iterable[str]:
        """Yield a message for each override that matched no cell or was always overridden later."""
        for path, rules in (
            (("overrides",), self.params.overrides),
            (("tiers", self.tier, "overrides"), self.params.tiers[self.tier].overrides),
        ):
            for index in range(len(rules)):
                rule: KeyPath = (*path, index)
                if rule not in self.matched:
                    yield f"{self.document.where(*rule)}: this override matches no cell of any grid"
                elif rule not in self.effective:
                    yield f"{self.document.where(*rule)}: this override is fully shadowed by later ones"

    def _entry_settings(self, table: Table, axis: str, name: str) -> None:
        entry = self.entry(axis, name)
        path: KeyPath = (AXIS[axis].section, name)
        table[axis, "use"] = Setting(entry.use or name, (*path, "use") if entry.use else path)
        for key, value in entry.settings.items():
            table[axis, key] = Setting(value, (*path, key))
        relation = getattr(entry, "relation", None) or {}
        for key, value in relation.items():
            table["relation", key] = Setting(value, (*path, "relation", key))

    def _recipe_settings(self, table: Table, name: str) -> None:
        recipe = self.params.recipes[name]
        table.update({("view", key): Setting(value, ("recipes", name)) for key, value in NO_VIEW.items()})
        for owner in (recipe.base, name) if recipe.base else (name,):
            entry = self.params.recipes[owner]
            for key, value in (entry.model_extra or {}).items():
                table["recipe", key] = Setting(value, ("recipes", owner, key))
            for section in OF_RECIPE:
                settings = getattr(entry, section)
                if settings is not None:
                    for stale in [key for key in table if key[0] == section]:
                        del table[stale]
                    for key, value in settings.items():
                        table[section, key] = Setting(value, ("recipes", owner, section, key))

    def _apply(
        self, table: Table, path: KeyPath, rules: tuple[Override, ...], tags: Mapping[str, str]
    ) -> None:
        winners: dict[str, KeyPath] = {}
        for index, rule in enumerate(rules):
            if all(tags[key] in as_list(wanted) for key, wanted in rule.when.items()):
                self.matched.add((*path, index))
                for key, value in rule.set.items():
                    self._put(table, key, value, (*path, index, "set", key))
                    winners[key] = (*path, index)
        self.effective.update(winners.values())

    def _put(self, table: Table, dotted: str, value: Any, origin: KeyPath) -> None:
        section, _, key = dotted.partition(".")
        if section not in SECTIONS or not key:
            raise DmixError(
                f"{self.document.where(*origin)}: unknown setting {dotted!r}",
                f"write section.key with a section of {', '.join(SECTIONS)}",
            )
        table[section, key] = Setting(value, origin)

    def _checked(
        self,
        model: type[BaseModel],
        source: str,
        section: str,
        values: dict[str, Any],
        table: Table,
        cell: Cell,
    ) -> dict[str, Any]:
        try:
            return model.model_validate(values).model_dump(mode="json")
        except ValidationError as error:
            # A misspelt key is also a missing one; the misspelling is the news.
            found = error.errors()
            first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
            key = str(first["loc"][0])
            known = ", ".join(model.model_fields)
            if (section, key) not in table:
                where = self.document.where(*cell.origin)
                raise DmixError(f"{where}: {section}.{key} is set nowhere; {source} needs it") from error
            where = self.document.where(*table[section, key].origin)
            if first["type"] == "extra_forbidden":
                raise DmixError(f"{where}: unknown key: {source} takes {known or 'no settings'}") from error
            raise DmixError(f"{where}: {first['msg']} (checked against {source})") from error

    def _check_when(self, path: KeyPath, rules: tuple[Override, ...]) -> None:
        """Refuse a `when` that names an unknown key or a value no entry has."""
        known: dict[str, set[str]] = {axis: set(self.params.entries(axis)) for axis in AXIS}
        known["kind"] = {entry.kind for entry in self.params.policies.values()}
        known["family"] = {entry.family for entry in self.params.policies.values()}
        known["group"] = {entry.group for entry in self.params.objectives.values()}
        known["task"] = {entry.task for entry in self.params.methods.values()}
        for index, rule in enumerate(rules):
            for key, wanted in rule.when.items():
                where = self.document.where(*path, index, "when", key)
                if key not in known:
                    raise DmixError(f"{where}: unknown key; `when` takes {', '.join(known)}")
                for name in as_list(wanted):
                    if name not in known[key]:
                        raise DmixError(f"{where}: there is no {key} named {name!r}")

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of this tier."""
        own = self.params.tiers[self.tier].seeds
        return self.params.seeds if own is None else own


def as_list(value: Any) -> list[Any]:
    """Return `value`, or a list of it alone."""
    return value if isinstance(value, list) else [value]
