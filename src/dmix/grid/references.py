"""What entries of `params.yaml` say of each other: names that must exist, pairs that must make sense."""

from __future__ import annotations

from dmix.errors import DmixError
from dmix.grid.axes import METHOD, POLICY
from dmix.grid.cells import choose
from dmix.grid.resolve import Cell, as_list
from dmix.grid.schema import Params
from dmix.grid.spec import AXES
from dmix.grid.table import Table
from dmix.grid.yaml_lines import Document, KeyPath

# What `dmix.methods.addons` can do; the asymmetrical strategy (section 3.2) is defined for DM(CE) alone.
PAIRED_POLICIES = ("mixup",)
PAIRED_OBJECTIVES = ("mce", "dm_ce")


def check_references(params: Params, document: Document, tier: str) -> None:
    """Refuse an entry of `params.yaml` that names another one that is not there."""
    for name, recipe in params.recipes.items():
        if recipe.base is None:
            continue
        if recipe.base not in params.recipes:
            raise DmixError(f"{document.where('recipes', name, 'base')}: no recipe named {recipe.base!r}")
        if params.recipes[recipe.base].base is not None:
            raise DmixError(
                f"{document.where('recipes', name, 'base')}: {recipe.base!r} has a base itself; "
                "one level of base, never two"
            )
    own = params.tiers[tier]
    for key, grids in (("omit", own.omit), ("narrow", tuple(own.narrow))):
        for grid in grids:
            if grid not in params.grids:
                raise DmixError(f"{document.where('tiers', tier, key)}: no grid named {grid!r}")
    for grid, kept in own.narrow.items():
        for axis, entries in kept.items():
            where: KeyPath = ("tiers", tier, "narrow", grid, axis)
            if "." in axis and axis in params.grids[grid]:
                continue  # a setting: any value will do
            if axis not in (*AXES, "seeds"):
                raise DmixError(
                    f"{document.where(*where)}: unknown axis; choose of {', '.join(AXES)}, seeds, and the "
                    "settings that the grid has as axes"
                )
            wanted = params.grids[grid].get(axis, list(own.seeds or params.seeds))
            there = as_list(wanted)
            if axis != "seeds":
                there = choose(params, document, ("grids", grid, axis), axis, wanted)
            for entry in as_list(entries):
                if entry not in there:
                    raise DmixError(f"{document.where(*where)}: the grid {grid} has no {axis} {entry!r}")
    for name, table in params.tables.items():
        for grid in table.grids:
            if grid not in params.grids:
                raise DmixError(f"{document.where('tables', name, 'grids')}: no grid named {grid!r}")
        for key, values in (
            ("place", (*table.place, *table.place.values())),
            ("gain", _gain(table)),
            ("addons", tuple(table.addons)),
        ):
            for objective in values:
                if objective not in params.objectives:
                    raise DmixError(f"{document.where('tables', name, key)}: no objective {objective!r}")
        if table.pairs_objectives:
            _check_addons(params, document, name, table)
        if table.reported is not None:
            _check_reported(params, document, name, table)


def _check_addons(params: Params, document: Document, name: str, table: Table) -> None:
    """Refuse a mixed objective without an addon: its row would be titled as the bare method's."""
    for grid in table.grids:
        wanted = params.grids[grid].get("objective", [])
        for objective in choose(params, document, ("grids", grid, "objective"), "objective", wanted):
            if params.objectives[objective].group != "clean" and objective not in table.addons:
                raise DmixError(
                    f"{document.where('tables', name, 'addons')}: no addon for {objective!r} of grid {grid}",
                    f'write what its rows add to the title of the method, such as {objective}: "+Mixup"',
                )


def _check_reported(params: Params, document: Document, name: str, table: Table) -> None:
    """Refuse reported numbers that the table cannot find, because sources name its runs otherwise."""
    by_method = METHOD in table.levels
    for grid in table.grids:
        wanted = params.grids[grid].get(METHOD, [])
        for method in choose(params, document, ("grids", grid, METHOD), METHOD, wanted):
            if by_method == (params.methods[method].task == "supervised"):
                where = document.where("tables", name, "reported")
                raise DmixError(
                    f"{where}: sources name runs of {method} (grid {grid}) "
                    f"by their {POLICY if by_method else METHOD}",
                    "leave method out of rows and columns" if by_method else "make method rows or columns",
                )


def _gain(table: Table) -> tuple[str, ...]:
    return (table.gain.of, table.gain.over) if table.gain else ()


def check_possible(params: Params, document: Document, cell: Cell) -> None:
    """Refuse a cell that has no meaning: a mixed loss without mixing, or the reverse."""
    policy, objective = cell.axes["policy"], cell.axes["objective"]
    mixes = params.policies[policy].kind != "none"
    mixed = params.objectives[objective].group != "clean"
    if mixes != mixed:
        reason = f"{policy} mixes no samples" if mixed else f"{objective} has no second label"
        raise DmixError(
            f"{document.where(*cell.origin)}: impossible cell {policy} x {objective}: {reason}",
            "pair policies of kind none with objectives of group clean, and the others with each other",
        )
    paired = params.methods[cell.axes["method"]].task != "supervised"
    if paired and mixes and (policy not in PAIRED_POLICIES or objective not in PAIRED_OBJECTIVES):
        raise DmixError(
            f"{document.where(*cell.origin)}: impossible cell {policy} x {objective}: labelled rows are "
            "mixed with unlabelled ones by Mixup, with MCE or DM(CE)",
            f"choose of {', '.join(PAIRED_POLICIES)} and {', '.join(PAIRED_OBJECTIVES)}",
        )
