"""Checks the settings of a cell against the parts that take them, and against each other."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError

from dmix.errors import DmixError
from dmix.grid.cell import Cell, Table
from dmix.grid.entry_settings import NO_VIEW
from dmix.grid.identity import Sections, clash
from dmix.grid.parts import ROOMS, Part, read_part
from dmix.grid.schema import MODULE, Recipe
from dmix.grid.spec import SECTIONS
from dmix.grid.yaml_lines import Document

RECIPE_NEUTRAL = {
    name: list(default) if isinstance(default, tuple) else default  # as JSON has them
    for name, field in Recipe.model_fields.items()
    if not field.is_required()
    for default in (field.get_default(),)
}
NEUTRAL: Mapping[str, Mapping[str, Any]] = {"recipe": RECIPE_NEUTRAL, "view": NO_VIEW}
"""Section -> neutral values that no part states."""
MODULE_NAME = re.compile(MODULE)
NEEDED = ("optimizer", "schedule", "augment")
"""Sections that every recipe must set."""

Checked = tuple[Sections, dict[str, Mapping[str, Any]]]
"""Validated settings and neutral values, by section."""


@dataclass(frozen=True)
class Check:
    """The check of the settings of one cell; its errors name the lines of the parameter files.

    Attributes
    ----------
    table: all settings, each with its origin.
    task: of the cell's method.
    """

    document: Document
    cell: Cell
    table: Table
    task: str

    def sections(self) -> Checked:
        """Return the validated settings and the neutral values of the cell, by section.

        Raises
        ------
        DmixError: a setting is unknown to its part, missing, of the wrong type or out of range; or settings
            of different sections contradict each other.
        """
        given: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        for (section, key), setting in self.table.items():
            given[section][key] = setting.value
        settings: dict[str, Mapping[str, Any]] = dict(given)
        neutral: dict[str, Mapping[str, Any]] = dict(NEUTRAL)
        for section, values in given.items():
            if section == "recipe":
                settings[section] = self._values(Recipe, None, section, values)
            elif values:  # else a part that this cell does not have
                settings[section] = self._part(section, values, neutral)
        self._together(settings)
        return settings, neutral

    def _part(
        self, section: str, values: dict[str, Any], neutral: dict[str, Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """Return the settings of a section of parts; add the part's neutral values to `neutral`."""
        if "use" not in values:
            key = next(iter(values))
            raise DmixError(
                f"{self._where(section, key)}: {section}.{key} is set, but the "
                f"cell {'/'.join(self.cell.axes.values())} has no {section}",
                f"set {section}.use too, or restrict the rule to cells that have one",
            )
        use = values.pop("use")
        if not isinstance(use, str) or not MODULE_NAME.fullmatch(use):
            raise DmixError(
                f"{self._where(section, 'use')}: {use!r} is no name of a module",
                f"write the name of a file in src/dmix/{ROOMS[section]}, without .py",
            )
        part = read_part(section, use)
        if part is None:
            return {"use": use, **values}
        neutral[section] = _neutral(section, use)
        return self._values(part.model, part, section, values, use)

    def _values(
        self,
        model: type[BaseModel],
        part: Part | None,
        section: str,
        values: dict[str, Any],
        use: str | None = None,
    ) -> Mapping[str, Any]:
        """Return the settings of a section as `model`, of a part or of the recipe, has them."""
        try:
            return _validated(model, json.dumps(values), use)
        except ValidationError as error:
            source = "the recipe" if part is None else part.source
            # A misspelt key is also a missing one: report the misspelling.
            found = error.errors()
            first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
            key = str(first["loc"][0])
            known = ", ".join(model.model_fields)
            if (section, key) not in self.table:
                where = self.document.where(*self.cell.origin)
                raise DmixError(f"{where}: {section}.{key} is set nowhere; {source} needs it") from error
            where = self._where(section, key)
            if first["type"] == "extra_forbidden":
                raise DmixError(f"{where}: unknown key: {source} takes {known or 'no settings'}") from error
            raise DmixError(f"{where}: {first['msg']} (checked against {source})") from error

    def _together(self, settings: Sections) -> None:
        """Refuse settings of different sections that contradict each other."""
        for section in NEEDED:
            if not settings[section]:
                raise DmixError(
                    f"{self._where(section, 'use')}: the recipe has no {section}",
                    f"write {section}: {{use: NAME}}, the name of a file in src/dmix/{ROOMS[section]}",
                )
        warm_up, epochs = settings["schedule"].get("warmup_epochs", 0), settings["recipe"]["epochs"]
        if isinstance(warm_up, int | float) and warm_up >= max(epochs, 1):
            raise DmixError(
                f"{self._where('schedule', 'warmup_epochs')}: a warm-up of {warm_up} epochs never ends in "
                f"{epochs}",
                "make it shorter than recipe.epochs",
            )
        self._shards(settings["recipe"]["shards"], settings["recipe"]["batch_size"])
        if twins := clash(settings):
            first, second = twins
            raise DmixError(
                f"{self._where(*second)}: {'.'.join(second)} would be recorded under the name of "
                f"{'.'.join(first)}",
                "rename the setting in the part's signature",
            )

    def _shards(self, shards: int, batch_size: int) -> None:
        """Refuse shards that cannot share a batch, or whose method needs the statistics of one batch."""
        if batch_size % shards:
            raise DmixError(
                f"{self._where('recipe', 'shards')}: {shards} shards cannot share a batch of {batch_size} "
                "images equally",
                "write a number that divides recipe.batch_size",
            )
        if shards > 1 and self.task != "supervised":
            raise DmixError(
                f"{self._where('recipe', 'shards')}: only supervised methods have shards; statistics, queues "
                "and pseudo-labels of the others are those of one batch",
                "set recipe.shards to 1",
            )

    def _where(self, section: str, key: str) -> str:
        """Return the line that set a setting, or that of the recipe where none did."""
        setting = self.table.get((section, key))
        return self.document.where(*(setting.origin if setting else ("recipes", self.cell.recipe)))


@lru_cache(maxsize=10_000)
def _validated(model: type[BaseModel], values: str, use: str | None) -> Mapping[str, Any]:
    """Check settings, given as JSON, strictly: neither true nor "1" is a number. Cells share most.

    Parameters
    ----------
    use: of settings of a part, its name, which comes first among them.
    """
    found: Mapping[str, Any] = model.model_validate_json(values, strict=True).model_dump(mode="json")
    return found if use is None else {"use": use, **found}


@cache
def _neutral(section: str, use: str) -> Mapping[str, Any]:
    """Return the neutral values of a section with a part that exists; one object for all cells."""
    part = read_part(section, use)
    assert part is not None
    return {**NEUTRAL.get(section, {}), **part.neutral}
