"""Resolves a cell of a grid to its settings, each with the line that set it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from dmix.errors import DmixError
from dmix.grid.axes import OBJECTIVE
from dmix.grid.cell import Cell, Setting, Table, put
from dmix.grid.checked import Check, Checked
from dmix.grid.entry_settings import (
    embedded_sizes,
    entry_settings,
    objective_settings,
    pretrained_weights,
)
from dmix.grid.rules import COMMON, Rules
from dmix.grid.schema import Params
from dmix.grid.yaml_lines import Document

AS = "as"
"""Key of a value of an extra axis that is taken from the cell with another objective."""


class Resolver:
    """Resolves cells at one tier, and notes which overrides match and take effect."""

    def __init__(self, params: Params, document: Document, tier: str) -> None:
        self.params = params
        self.document = document
        self.tier = tier
        self._rules = Rules(params, document, tier)
        self._entries: dict[tuple[str, str], Table] = {}
        self._unvaried: dict[tuple[Any, ...], Table] = {}
        self._usual: dict[tuple[Any, ...], Table] = {}
        self._accepted: dict[tuple[Any, ...], Checked] = {}

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
        """Return (section, key) -> Setting of a cell, unchecked; cells share it: change nothing in place.

        Later sources win: the entries, the method's changes of its add-on, the recipe, the objective's
        `by_kind` and `by_family`, the overrides in order, the `at` of recipe and entries, the tier's
        overrides in order, the grid's extra axes. Finally, sizes of the embedded edition replace the entry's
        own, and the backbone's weights file replaces `init: pretrained`.

        Raises
        ------
        DmixError: an override sets an unknown setting; or the backbone has no pretrained weights.
        """
        usual = self.usual(cell)
        if not cell.variation:
            return usual
        table = dict(self._unvaried[cell.choices])
        for key, value in cell.variation:
            put(table, self.document, key, self._as_with(cell, key, value), (*cell.origin, key))
        self._fit(table, cell)
        return table

    def usual(self, cell: Cell) -> Table:
        """Return what `settle` returns of the cell without its extra axes, as other cells share it."""
        known = cell.choices
        if known not in self._usual:
            self._unvaried[known] = self._settle_unvaried(cell)
            self._usual[known] = dict(self._unvaried[known])
            self._fit(self._usual[known], cell)
        return self._usual[known]

    def sections(self, cell: Cell, table: Table | None = None) -> Checked:
        """Return the validated settings and the neutral values of a cell, by section.

        Cells with equal settings share them: change nothing in place.

        Parameters
        ----------
        table: what `settle` returned of the cell, where that is known.

        Raises
        ------
        DmixError: a setting is unknown to its part, missing, of the wrong type or out of range.
        """
        table = self.settle(cell) if table is None else table
        key = (*cell.choices, *self._varied(cell, table))
        if key not in self._accepted:
            task = self.params.methods[cell.axes["method"]].task
            self._accepted[key] = Check(self.document, cell, table, task).sections()
        return self._accepted[key]

    def useless_rules(self) -> Iterable[str]:
        """Yield a message for each override or block of `at` without effect; see `Rules.useless`."""
        return self._rules.useless()

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of this tier."""
        own = self.params.tiers[self.tier].seeds
        return self.params.seeds if own is None else own

    def _fit(self, table: Table, cell: Cell) -> None:
        """Put the sizes of the edition and the file of pretrained weights, which depend on all else."""
        embedded_sizes(table, self.params, cell.axes["dataset"])
        pretrained_weights(table, self.params, self.document, cell.axes["backbone"])

    def _settle_unvaried(self, cell: Cell) -> Table:
        rules, tags = self._rules, self.tags(cell)
        edition = Setting(self.params.tiers[self.tier].edition, ("tiers", rules.scale, "edition"))
        table: Table = {("dataset", "edition"): edition, **entry_settings(self.params, cell, self._entries)}
        objective_settings(table, self.params, self.document, cell.axes["objective"], tags)
        rules.override(table, COMMON, tags)
        rules.scale_down(table, cell)
        rules.override(table, rules.own, tags)
        return table

    def _varied(self, cell: Cell, table: Table) -> Iterator[tuple[tuple[str, str], str]]:
        """Yield the place and the value, as JSON, of what a cell's extra axes change in its settings."""
        if not cell.variation:
            return
        usual = self.usual(cell)
        for place, setting in table.items():
            own = usual.get(place)
            if own is None or setting.value is not own.value:
                value = json.dumps(setting.value)  # tells 1, 1.0 and true apart
                if own is None or value != json.dumps(own.value):
                    yield place, value

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
