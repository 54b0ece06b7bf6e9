"""Settings that the entries of the parameter files give to a cell: data set, network, recipe, add-on, ..."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dmix.errors import DmixError
from dmix.grid.axes import AXIS
from dmix.grid.cell import Cell, Setting, Table, put
from dmix.grid.parts import read_part
from dmix.grid.presence import facts
from dmix.grid.schema import Params
from dmix.grid.spec import AXES
from dmix.grid.yaml_lines import Document, KeyPath

NO_VIEW = {"use": "unchanged"}
"""Default test-time transform of a recipe."""

USUAL_STEM = "cifar"
"""Default stem of a recipe."""

PRETRAINED = "pretrained"
"""Value of a recipe's `init` that stands for the weights file of the backbone's entry."""

OF_RECIPE = ("optimizer", "schedule", "labels", "augment", "strong", "view")
"""Sections of parts that a recipe sets."""


def entry_settings(params: Params, cell: Cell, known: dict[tuple[str, str], Table]) -> Table:
    """Return the settings of the entries of all axes, of the method's add-on and of the recipe; these win.

    Parameters
    ----------
    known: (axis, name) -> the settings of an entry, which thousands of cells share; it is added to.
    """
    table: Table = {}
    for axis in AXES:
        entry = (axis, cell.axes[axis])
        if entry not in known:
            known[entry] = _of_entry(params, *entry)
        table.update(known[entry])
    if "addon" in cell.axes:
        _of_addon(table, params, cell.axes["addon"], cell.axes["method"])
    _of_recipe(table, params, cell.recipe)
    return table


def objective_settings(
    table: Table, params: Params, document: Document, name: str, tags: Mapping[str, str]
) -> None:
    """Put what an objective sets by the kind and, winning, by the family of the cell's policy (`tags`)."""
    objective = params.objectives[name]
    for field, by, tag in (
        ("by_kind", objective.by_kind, tags["kind"]),
        ("by_family", objective.by_family, tags["family"]),
    ):
        chosen: Mapping[str, Any] = dict(by).get(tag, {})  # type: ignore[call-overload]
        for key, value in chosen.items():
            put(table, document, key, value, ("objectives", name, field, tag, key))


def embedded_sizes(table: Table, params: Params, name: str) -> None:
    """Replace a data set's sizes by those of its embedded edition if the run reads that edition."""
    if table["dataset", "edition"].value != "embedded":
        return
    path: KeyPath = ("datasets", name)
    for key, value in (params.datasets[name].embedded or {}).items():
        if table.get(("dataset", key), Setting(None, (*path, key))).origin == (*path, key):
            table["dataset", key] = Setting(value, (*path, "embedded", key))


def pretrained_weights(table: Table, params: Params, document: Document, name: str) -> None:
    """Replace `init: pretrained` by the weights file of the entry of backbone `name`.

    Raises
    ------
    DmixError: it has none.
    """
    init = table.get(("recipe", "init"))
    if init is None or init.value != PRETRAINED:
        return
    weights, path = params.backbones[name].weights, ("backbones", name)
    if weights is None:
        raise DmixError(
            f"{document.where(*init.origin)}: wants pretrained weights, which the entry "
            f"{document.where(*path)} does not have",
            "give that backbone its `weights: weights/FILE.pth`, or choose another one or another recipe",
        )
    table["recipe", "init"] = Setting(weights, (*path, "weights"))


def _of_entry(params: Params, axis: str, name: str) -> Table:
    entry = params.entries(axis)[name]
    path: KeyPath = (AXIS[axis].section, name)
    table: Table = {(axis, "use"): Setting(entry.use or name, (*path, "use") if entry.use else path)}
    settings = entry.settings if axis != "dataset" else facts(name, params.datasets[name])
    for key, value in settings.items():
        table[axis, key] = Setting(value, (*path, key))
    relation = getattr(entry, "relation", None) or {}
    for key, value in relation.items():
        table["relation", key] = Setting(value, (*path, "relation", key))
    return table


def _of_addon(table: Table, params: Params, name: str, method: str) -> None:
    base = params.addons[name].base
    for owner in (base, name) if base else (name,):
        entry = params.addons[owner]
        for key, value in (("use", entry.use), *entry.settings.items()):
            if value is not None:
                table["addon", key] = Setting(value, ("addons", owner, key))
    if ("addon", "use") in table:
        for key, value in params.methods[method].addon.items():
            table["addon", key] = Setting(value, ("methods", method, "addon", key))


def _of_recipe(table: Table, params: Params, name: str) -> None:
    recipe = params.recipes[name]
    table.update({("view", key): Setting(value, ("recipes", name)) for key, value in NO_VIEW.items()})
    stem = Setting(USUAL_STEM, ("recipes", name))
    for owner in (recipe.base, name) if recipe.base else (name,):
        entry = params.recipes[owner]
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
