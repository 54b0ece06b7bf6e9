"""Resolves a cell of a grid to its settings, each with the line that set it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError

from dmix.errors import DmixError
from dmix.grid.axes import AXIS, OBJECTIVE
from dmix.grid.identity import Sections, clash
from dmix.grid.parts import ROOMS, read_part
from dmix.grid.presence import facts
from dmix.grid.schema import MODULE, Params, PartEntry, Recipe, ScaleDown
from dmix.grid.spec import AXES, SECTIONS
from dmix.grid.tier import Override, tiers_of
from dmix.grid.yaml_lines import Document, KeyPath

RECIPE_NEUTRAL = {
    name: list(default) if isinstance(default, tuple) else default  # as JSON has them
    for name, field in Recipe.model_fields.items()
    if not field.is_required()
    for default in (field.get_default(),)
}


@dataclass(frozen=True)
class Setting:
    """A value, and the key path of the line in the parameter files that set it."""

    value: Any
    origin: KeyPath


@dataclass(frozen=True)
class Cell:
    """One cell of a grid, without seed: a choice for each axis, a recipe and extra axes."""

    axes: Mapping[str, str]
    recipe: str
    variation: tuple[tuple[str, Any], ...]
    origin: KeyPath


Table = dict[tuple[str, str], Setting]
Checked = tuple[dict[str, dict[str, Any]], dict[str, Mapping[str, Any]]]

NO_VIEW = {"use": "unchanged"}
"""Default test-time transform of a recipe."""

USUAL_STEM = "cifar"
"""Default stem of a recipe."""

PRETRAINED = "pretrained"
"""Value of a recipe's `init` that stands for the weights file of the backbone's entry."""

OF_RECIPE = ("optimizer", "schedule", "labels", "augment", "strong", "view")
"""Sections of parts that a recipe sets."""

AS = "as"
"""Key of a value of an extra axis that is taken from the cell with another objective."""

NEEDED = ("optimizer", "schedule", "augment")
"""Sections that every recipe must set."""


class Resolver:
    """Resolves cells at one tier, and notes which overrides match and take effect."""

    def __init__(self, params: Params, document: Document, tier: str) -> None:
        self.params = params
        self.document = document
        self.tier = tier
        self.scale = params.tiers[tier].scale or tier
        self.matched: set[KeyPath] = set()
        self.effective: set[KeyPath] = set()
        self._settled: dict[tuple[Any, ...], Table] = {}
        self._accepted: dict[tuple[Any, ...], Checked] = {}
        self._check_when(("overrides",), params.overrides)
        self._check_when(self._own_rules, params.tiers[tier].overrides)

    def entry(self, axis: str, name: str) -> PartEntry:
        """Return the entry `name` of the section of `axis`."""
        found: PartEntry = self.params.entries(axis)[name]
        return found

    def tags(self, cell: Cell) -> Mapping[str, str]:
        """Return the keys and values of a cell that an override's `when` is compared with."""
        policy = self.params.policies[cell.axes["policy"]]
        return {
            "addon": "",  # for supervised methods
            **cell.axes,
            "recipe": cell.recipe,
            "kind": policy.kind,
            "family": policy.family,
            "group": self.params.objectives[cell.axes["objective"]].group,
            "task": self.params.methods[cell.axes["method"]].task,
        }

    def settle(self, cell: Cell) -> Table:
        """Return (section, key) -> Setting of a cell, unchecked.

        Later sources win: the entries, the method's changes of its add-on, the recipe, the objective's
        `by_kind` and `by_family`, the overrides in order, the `at` of recipe and entries, the tier's
        overrides in order, the grid's extra axes. Finally, sizes of the embedded edition replace the entry's
        own, and the backbone's weights file replaces `init: pretrained`.

        Raises
        ------
        DmixError: an override sets an unknown setting; or the backbone has no pretrained weights.
        """
        table = dict(self._unvaried(cell))
        for key, value in cell.variation:
            self._put(table, key, self._as_with(cell, key, value), (*cell.origin, key))
        self._embedded_sizes(table, cell.axes["dataset"])
        self._pretrained(table, cell.axes["backbone"])
        return table

    def _unvaried(self, cell: Cell) -> Table:
        """Return the settings of a cell without its extra axes, which it shares with cells of other grids."""
        known = (*cell.axes.items(), cell.recipe)
        if known not in self._settled:
            self._settled[known] = self._settle_unvaried(cell)
        return self._settled[known]

    def _settle_unvaried(self, cell: Cell) -> Table:
        edition = Setting(self.params.tiers[self.tier].edition, ("tiers", self.scale, "edition"))
        table: Table = {("dataset", "edition"): edition}
        for axis in AXES:
            self._entry_settings(table, axis, cell.axes[axis])
        if "addon" in cell.axes:
            self._addon_settings(table, cell.axes["addon"], cell.axes["method"])
        self._recipe_settings(table, cell.recipe)
        objective = self.params.objectives[cell.axes["objective"]]
        tags = self.tags(cell)
        base: KeyPath = ("objectives", cell.axes["objective"])
        for field, by in (("by_kind", objective.by_kind), ("by_family", objective.by_family)):
            chosen: Mapping[str, Any] = dict(by).get(tags[field[3:]], {})  # type: ignore[call-overload]
            for key, value in chosen.items():
                self._put(table, key, value, (*base, field, tags[field[3:]], key))
        self._apply(table, ("overrides",), self.params.overrides, tags)
        self._scale_down(table, cell)
        self._apply(table, self._own_rules, self.params.tiers[self.tier].overrides, tags)
        return table

    def sections(self, cell: Cell) -> Checked:
        """Return the validated settings and the neutral values of a cell, by section.

        Cells with equal settings share them: change nothing in place.

        Raises
        ------
        DmixError: a setting is unknown to its part, missing, of the wrong type or out of range.
        """
        table = self.settle(cell)
        key = (*cell.axes.items(), cell.recipe, *self._varied(cell, table))
        if key not in self._accepted:
            self._accepted[key] = self._checked_sections(cell, table)
        return self._accepted[key]

    def _varied(self, cell: Cell, table: Table) -> Iterator[tuple[tuple[str, str], str]]:
        """Yield the place and the value, as JSON, of what a cell's extra axes change in its settings."""
        if not cell.variation:
            return
        usual = self.settle(replace(cell, variation=()))
        for place, setting in table.items():
            if setting is not usual.get(place):
                value = json.dumps(setting.value)  # tells 1, 1.0 and true apart
                if place not in usual or value != json.dumps(usual[place].value):
                    yield place, value

    def _checked_sections(self, cell: Cell, table: Table) -> Checked:
        settings: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        for (section, key), setting in table.items():
            settings[section][key] = setting.value
        neutral: dict[str, Mapping[str, Any]] = {"recipe": RECIPE_NEUTRAL, "view": NO_VIEW}
        for section, values in settings.items():
            if section == "recipe":
                settings[section] = self._checked(Recipe, "the recipe", section, values, table, cell)
                continue
            if not values:
                continue  # a part that this cell does not have
            if "use" not in values:
                key = next(iter(values))
                raise DmixError(
                    f"{self.document.where(*table[section, key].origin)}: {section}.{key} is set, but the "
                    f"cell {'/'.join(cell.axes.values())} has no {section}",
                    f"set {section}.use too, or restrict the rule to cells that have one",
                )
            use = values.pop("use")
            if not isinstance(use, str) or not re.fullmatch(MODULE, use):
                raise DmixError(
                    f"{self.document.where(*table[section, 'use'].origin)}: {use!r} is no name of a module",
                    f"write the name of a file in src/dmix/{ROOMS[section]}, without .py",
                )
            part = read_part(section, use)
            if part is not None:
                values = self._checked(part.model, part.source, section, values, table, cell)
                neutral[section] = {**neutral.get(section, {}), **part.neutral}
            settings[section] = {"use": use, **values}
        self._check_together(settings, table, cell)
        return settings, neutral

    def useless_rules(self) -> Iterable[str]:
        """Yield a message for each override that matched no cell, or that later ones always replaced.

        A block of `at` that later blocks always replaced gets one too; one that matches no cell does not.
        """
        for path, rules in (
            (("overrides",), self.params.overrides),
            (self._own_rules, self.params.tiers[self.tier].overrides),
        ):
            for index in range(len(rules)):
                rule: KeyPath = (*path, index)
                if rule not in self.matched:
                    yield f"{self.document.where(*rule)}: this override matches no cell of any grid"
                elif rule not in self.effective:
                    yield f"{self.document.where(*rule)}: this override is fully shadowed by later ones"
        for block in sorted(self.matched - self.effective, key=str):
            if "at" in block:
                yield f"{self.document.where(*block)}: these settings are fully shadowed by later ones"

    def _entry_settings(self, table: Table, axis: str, name: str) -> None:
        entry = self.entry(axis, name)
        path: KeyPath = (AXIS[axis].section, name)
        table[axis, "use"] = Setting(entry.use or name, (*path, "use") if entry.use else path)
        settings = entry.settings if axis != "dataset" else facts(name, self.params.datasets[name])
        for key, value in settings.items():
            table[axis, key] = Setting(value, (*path, key))
        relation = getattr(entry, "relation", None) or {}
        for key, value in relation.items():
            table["relation", key] = Setting(value, (*path, "relation", key))

    def _addon_settings(self, table: Table, name: str, method: str) -> None:
        base = self.params.addons[name].base
        for owner in (base, name) if base else (name,):
            entry = self.params.addons[owner]
            for key, value in (("use", entry.use), *entry.settings.items()):
                if value is not None:
                    table["addon", key] = Setting(value, ("addons", owner, key))
        if ("addon", "use") in table:
            for key, value in self.params.methods[method].addon.items():
                table["addon", key] = Setting(value, ("methods", method, "addon", key))

    def _recipe_settings(self, table: Table, name: str) -> None:
        recipe = self.params.recipes[name]
        table.update({("view", key): Setting(value, ("recipes", name)) for key, value in NO_VIEW.items()})
        stem = Setting(USUAL_STEM, ("recipes", name))
        for owner in (recipe.base, name) if recipe.base else (name,):
            entry = self.params.recipes[owner]
            if entry.stem is not None:
                stem = Setting(entry.stem, ("recipes", owner, "stem"))
            for key, value in (entry.model_extra or {}).items():
                table["recipe", key] = Setting(value, ("recipes", owner, key))
            for section in OF_RECIPE:
                settings = getattr(entry, section)
                if settings is None:
                    continue
                if "use" in settings:  # replaces the base's part: none of its settings stays
                    for stale in [key for key in table if key[0] == section]:
                        del table[stale]
                for key, value in settings.items():
                    table[section, key] = Setting(value, ("recipes", owner, section, key))
        backbone = read_part("backbone", table["backbone", "use"].value)
        if backbone is not None and "stem" in backbone.model.model_fields:
            table.setdefault(("backbone", "stem"), stem)

    def _scale_down(self, table: Table, cell: Cell) -> None:
        """Put the settings for this tier (`at`) of the cell's recipe and then of its entries."""
        recipe = self.params.recipes[cell.recipe]
        replaced = {section for section in OF_RECIPE if "use" in (getattr(recipe, section) or ())}
        sources: list[tuple[str, KeyPath, ScaleDown, set[str]]] = []
        if recipe.base:
            base = self.params.recipes[recipe.base]
            sources.append(("recipe", ("recipes", recipe.base), base.at, replaced))
        sources.append(("recipe", ("recipes", cell.recipe), recipe.at, set()))
        for axis in AXES:
            name = cell.axes[axis]
            sources.append((axis, (AXIS[axis].section, name), self.entry(axis, name).at, set()))
        winners: dict[str, KeyPath] = {}
        for section, path, blocks, left_out in sources:
            for tiers, settings in blocks.items():
                if self.scale not in tiers_of(tiers):
                    continue
                block = (*path, "at", tiers)
                for key, value in settings.items():
                    dotted = key if "." in key else f"{section}.{key}"
                    if dotted.partition(".")[0] not in left_out:
                        self._put(table, dotted, value, (*block, key))
                        self.matched.add(block)
                        winners[dotted] = block
        self.effective.update(winners.values())

    def _embedded_sizes(self, table: Table, name: str) -> None:
        """Replace the entry's sizes by those of its embedded edition if the run reads that edition."""
        if table["dataset", "edition"].value != "embedded":
            return
        path: KeyPath = ("datasets", name)
        for key, value in (self.params.datasets[name].embedded or {}).items():
            if table.get(("dataset", key), Setting(None, (*path, key))).origin == (*path, key):
                table["dataset", key] = Setting(value, (*path, "embedded", key))

    def _pretrained(self, table: Table, name: str) -> None:
        """Replace `init: pretrained` by the weights file of the backbone's entry."""
        init = table.get(("recipe", "init"))
        if init is None or init.value != PRETRAINED:
            return
        weights, path = self.params.backbones[name].weights, ("backbones", name)
        if weights is None:
            raise DmixError(
                f"{self.document.where(*init.origin)}: wants pretrained weights, which the entry "
                f"{self.document.where(*path)} does not have",
                "give that backbone its `weights: weights/FILE.pth`, or choose another one or another recipe",
            )
        table["recipe", "init"] = Setting(weights, (*path, "weights"))

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

    def _as_with(self, cell: Cell, key: str, value: Any) -> Any:
        """Return the value of an extra axis; {as: OBJECTIVE} is that of the cell with that objective."""
        if not isinstance(value, Mapping):
            return value
        other = replace(cell, axes={**cell.axes, OBJECTIVE: value[AS]}, variation=())
        section, _, name = key.partition(".")
        found = self.settle(other).get((section, name))
        if found is None:
            raise DmixError(
                f"{self.document.where(*cell.origin, key)}: with {value[AS]} the cell "
                f"{'/'.join(cell.axes.values())} has no {key}",
                "name an objective with which it is set, or write the value",
            )
        return found.value

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
            return dict(_validated(model, json.dumps(values)))
        except ValidationError as error:
            # A misspelt key is also a missing one: report the misspelling.
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

    def _check_together(self, settings: Sections, table: Table, cell: Cell) -> None:
        """Refuse settings of different sections that contradict each other."""

        def where(section: str, key: str) -> str:
            setting = table.get((section, key))
            return self.document.where(*(setting.origin if setting else ("recipes", cell.recipe)))

        for section in NEEDED:
            if not settings[section]:
                raise DmixError(
                    f"{where(section, 'use')}: the recipe has no {section}",
                    f"write {section}: {{use: NAME}}, the name of a file in src/dmix/{ROOMS[section]}",
                )
        warm_up, epochs = settings["schedule"].get("warmup_epochs", 0), settings["recipe"]["epochs"]
        if isinstance(warm_up, int | float) and warm_up >= max(epochs, 1):
            raise DmixError(
                f"{where('schedule', 'warmup_epochs')}: a warm-up of {warm_up} epochs never ends in {epochs}",
                "make it shorter than recipe.epochs",
            )
        shards, size = settings["recipe"]["shards"], settings["recipe"]["batch_size"]
        if size % shards:
            raise DmixError(
                f"{where('recipe', 'shards')}: {shards} shards cannot share a batch of {size} images equally",
                "write a number that divides recipe.batch_size",
            )
        if shards > 1 and self.params.methods[cell.axes["method"]].task != "supervised":
            raise DmixError(
                f"{where('recipe', 'shards')}: only supervised methods have shards; statistics, queues and "
                "pseudo-labels of the others are those of one batch",
                "set recipe.shards to 1",
            )
        if twins := clash(settings):
            first, second = twins
            raise DmixError(
                f"{where(*second)}: {'.'.join(second)} would be recorded under the name of {'.'.join(first)}",
                "rename the setting in the part's signature",
            )

    def _check_when(self, path: KeyPath, rules: tuple[Override, ...]) -> None:
        """Refuse a `when` with an unknown key, or with a value that no entry has."""
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

    @property
    def _own_rules(self) -> KeyPath:
        """Where the tier's overrides are written."""
        return ("tiers", self.scale, "overrides")

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of this tier."""
        own = self.params.tiers[self.tier].seeds
        return self.params.seeds if own is None else own


@lru_cache(maxsize=10_000)
def _validated(model: type[BaseModel], values: str) -> Mapping[str, Any]:
    """Check settings, given as JSON, strictly: neither true nor "1" is a number. Cells share most."""
    found: Mapping[str, Any] = model.model_validate_json(values, strict=True).model_dump(mode="json")
    return found


def as_list(value: Any) -> list[Any]:
    """Return `value` if it is a list, else a list with `value` alone."""
    return value if isinstance(value, list) else [value]
