"""Checks that the entries named by other entries exist, and that cells are meaningful."""

from __future__ import annotations

from dmix.errors import DmixError
from dmix.grid.addons import check_addons
from dmix.grid.axes import AXIS, METHOD, POLICY
from dmix.grid.cell import Cell, as_list
from dmix.grid.cells import check_list, choose, products_of
from dmix.grid.figure import form_of
from dmix.grid.schema import Params
from dmix.grid.spec import AXES
from dmix.grid.table import Table
from dmix.grid.tier import tiers_of
from dmix.grid.yaml_lines import Document, KeyPath


def check_references(params: Params, document: Document, tier: str) -> None:
    """Refuse entries of the parameters that name unknown entries."""
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
    for axis, section in ((axis, AXIS[axis].section) for axis in AXIS):
        for name, entry in params.entries(axis).items():
            for key in entry.at:
                for named in tiers_of(key):
                    if named not in params.tiers:
                        raise DmixError(
                            f"{document.where(section, name, 'at', key)}: there is no tier named {named!r}",
                            f"choose of {', '.join(params.tiers)}",
                        )
    check_addons(params, document)
    own = params.tiers[tier]
    lists = {"also": own.also, "omit": own.omit, "only": own.only, "narrow": tuple(own.narrow)}
    for part, grids in lists.items():
        for grid in grids:
            if grid not in params.grids:
                raise DmixError(f"{document.where('tiers', tier, part)}: no grid named {grid!r}")
    for grid, kept in own.narrow.items():
        for axis, entries in kept.items():
            where: KeyPath = ("tiers", tier, "narrow", grid, axis)
            check_list(document.where(*where), as_list(entries))
            if "." in axis and axis in params.grids[grid]:
                continue  # a setting may have any value
            known = [known for known in (*AXES, "addon") if known in params.grids[grid]]
            if axis not in (*known, "seeds"):
                raise DmixError(
                    f"{document.where(*where)}: unknown axis; choose of {', '.join(known)}, seeds, and the "
                    "settings that the grid has as axes"
                )
            if axis == "seeds":
                there = as_list(params.grids[grid].get("seeds", list(own.seeds or params.seeds)))
            else:
                products = products_of(params, document, grid)
                there = [name for choices in products for name in choices[axis]]
            for entry in as_list(entries):
                if entry not in there:
                    raise DmixError(f"{document.where(*where)}: the grid {grid} has no {axis} {entry!r}")
    for name, table in params.tables.items():
        for grid in table.grids:
            if grid not in params.grids:
                raise DmixError(f"{document.where('tables', name, 'grids')}: no grid named {grid!r}")
        for objective in (*table.place, *table.place.values()):
            if objective not in params.objectives:
                raise DmixError(f"{document.where('tables', name, 'place')}: no objective {objective!r}")
        for entry in _gain(table):
            if entry not in params.entries(table.compared):
                raise DmixError(f"{document.where('tables', name, 'gain')}: no {table.compared} {entry!r}")
        if table.reported is not None:
            _check_reported(params, document, name, table)
        for key in table.reported_at:
            if unknown := set(tiers_of(key)) - set(params.tiers):
                raise DmixError(
                    f"{document.where('tables', name, 'reported_at', key)}: there is no tier named "
                    f"{', '.join(sorted(unknown))}",
                    f"choose of {', '.join(params.tiers)}",
                )
    for name, settings in params.settings_tables.items():
        place = ("settings_tables", name)
        for grid in settings.grids:
            if grid not in params.grids:
                raise DmixError(f"{document.where(*place, 'grids')}: no grid named {grid!r}")
        for column in settings.columns:
            if column not in params.recipes:
                raise DmixError(f"{document.where(*place, 'columns')}: no recipe named {column!r}")
        if name in params.tables:
            raise DmixError(f"{document.where(*place)}: a table has this name already")
    _check_figures(params, document)


def _check_figures(params: Params, document: Document) -> None:
    """Refuse figures of unknown grids, tables or forms, and wrong settings of their forms."""
    for name, figure in params.figures.items():
        for index, grid in enumerate(figure.grids):
            if grid not in params.grids:
                raise DmixError(f"{document.where('figures', name, 'grids', index)}: no grid named {grid!r}")
        if figure.table is not None:
            where = document.where("figures", name, "table")
            if figure.table not in params.tables:
                raise DmixError(f"{where}: no table named {figure.table!r}")
            if figure.grids:
                raise DmixError(f"{where}: the table says the grids", "write table or grids")
        form_of(name, figure, document)


def _check_reported(params: Params, document: Document, name: str, table: Table) -> None:
    """Refuse reported numbers that are named by method in a table by policy, or the reverse."""
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
    """Refuse a cell with a mixed objective and no mixing, or the reverse."""
    policy, objective = cell.axes["policy"], cell.axes["objective"]
    mixes = params.policies[policy].kind != "none"
    mixed = params.objectives[objective].group != "clean"
    if mixes != mixed:
        reason = f"{policy} mixes no samples" if mixed else f"{objective} has no second label"
        raise DmixError(
            f"{document.where(*cell.origin)}: impossible cell {policy} x {objective}: {reason}",
            "pair policies of kind none with objectives of group clean, and the others with each other",
        )
