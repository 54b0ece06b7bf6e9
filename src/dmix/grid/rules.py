"""Rules that change settings of the cells they match: overrides, and what entries set `at` a tier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dmix.errors import DmixError
from dmix.grid.axes import AXIS
from dmix.grid.cell import Cell, Table, as_list, put
from dmix.grid.entry_settings import OF_RECIPE
from dmix.grid.schema import Params, PartEntry, ScaleDown
from dmix.grid.spec import AXES
from dmix.grid.tier import Override, tiers_of
from dmix.grid.yaml_lines import Document, KeyPath

COMMON: KeyPath = ("overrides",)
"""Where the overrides of all tiers are written."""


class Rules:
    """Applies the rules of one tier, and notes which match a cell and take effect.

    Attributes
    ----------
    scale: the tier whose overrides and `at` count, the tier itself or the one that it names.
    own: where the overrides of `scale` are written.

    Raises
    ------
    DmixError: a `when` has an unknown key, or a value that no entry has.
    """

    def __init__(self, params: Params, document: Document, tier: str) -> None:
        self.params = params
        self.document = document
        self.scale = params.tiers[tier].scale or tier
        self.own: KeyPath = ("tiers", self.scale, "overrides")
        self._overrides: Mapping[KeyPath, tuple[Override, ...]] = {
            COMMON: params.overrides,
            self.own: params.tiers[tier].overrides,
        }
        self._conditions = {
            path: [[(key, as_list(wanted)) for key, wanted in rule.when.items()] for rule in rules]
            for path, rules in self._overrides.items()
        }
        self._matched: set[KeyPath] = set()
        self._effective: set[KeyPath] = set()
        for path, rules in self._overrides.items():
            self._check_when(path, rules)

    def override(self, table: Table, path: KeyPath, tags: Mapping[str, str]) -> None:
        """Put what those overrides set whose `when` a cell's `tags` match.

        Parameters
        ----------
        path: where they are written, `COMMON` or `own`.

        Raises
        ------
        DmixError: one sets an unknown setting.
        """
        winners: dict[str, KeyPath] = {}
        rules = zip(self._overrides[path], self._conditions[path], strict=True)
        for index, (rule, conditions) in enumerate(rules):
            if all(tags[key] in wanted for key, wanted in conditions):
                self._matched.add((*path, index))
                for key, value in rule.set.items():
                    put(table, self.document, key, value, (*path, index, "set", key))
                    winners[key] = (*path, index)
        self._effective.update(winners.values())

    def scale_down(self, table: Table, cell: Cell) -> None:
        """Put the settings for this tier (`at`) of the cell's recipe and then of its entries."""
        winners: dict[str, KeyPath] = {}
        for section, path, blocks, left_out in self._blocks(cell):
            for tiers, settings in blocks.items():
                if self.scale not in tiers_of(tiers):
                    continue
                block = (*path, "at", tiers)
                for key, value in settings.items():
                    dotted = key if "." in key else f"{section}.{key}"
                    if dotted.partition(".")[0] not in left_out:
                        put(table, self.document, dotted, value, (*block, key))
                        self._matched.add(block)
                        winners[dotted] = block
        self._effective.update(winners.values())

    def useless(self) -> Iterator[str]:
        """Yield a message for each override that matched no cell, or that later ones always replaced.

        A block of `at` that later blocks always replaced gets one too; one that matches no cell does not.
        """
        for path, rules in self._overrides.items():
            for index in range(len(rules)):
                rule: KeyPath = (*path, index)
                if rule not in self._matched:
                    yield f"{self.document.where(*rule)}: this override matches no cell of any grid"
                elif rule not in self._effective:
                    yield f"{self.document.where(*rule)}: this override is fully shadowed by later ones"
        for block in sorted(self._matched - self._effective, key=str):
            if "at" in block:
                yield f"{self.document.where(*block)}: these settings are fully shadowed by later ones"

    def _blocks(self, cell: Cell) -> Iterator[tuple[str, KeyPath, ScaleDown, set[str]]]:
        """Yield the section, place and `at` of recipe and entries, and the sections that it leaves out."""
        recipe = self.params.recipes[cell.recipe]
        if recipe.base:
            replaced = {section for section in OF_RECIPE if "use" in (getattr(recipe, section) or ())}
            yield "recipe", ("recipes", recipe.base), self.params.recipes[recipe.base].at, replaced
        yield "recipe", ("recipes", cell.recipe), recipe.at, set()
        for axis in AXES:
            name = cell.axes[axis]
            entry: PartEntry = self.params.entries(axis)[name]
            yield axis, (AXIS[axis].section, name), entry.at, set()

    def _check_when(self, path: KeyPath, rules: tuple[Override, ...]) -> None:
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
