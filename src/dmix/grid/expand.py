"""From `params.yaml` to runs: the product of each grid's lists, times the seeds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dmix.errors import DmixError
from dmix.grid.code import code_digest
from dmix.grid.parts import ROOMS, read_part
from dmix.grid.resolve import PART_SECTIONS, Cell, Resolver, Setting
from dmix.grid.schema import Params, Table, validate
from dmix.grid.spec import AXES, RunSpec
from dmix.grid.yaml_lines import Document, KeyPath, load


@dataclass(frozen=True)
class Grid:
    """Every run of one tier.

    Attributes
    ----------
    runs: name -> specification, in the order of `params.yaml`.
    grids: name of a grid -> the names of its runs.
    """

    tier: str
    params: Params
    document: Document
    runs: Mapping[str, RunSpec]
    grids: Mapping[str, tuple[str, ...]]
    resolver: Resolver
    cells: Mapping[str, Cell]

    @cached_property
    def folders(self) -> Mapping[str, str]:
        """Folder of each implemented run below results/<tier>/runs: its name and its two digests."""
        return {name: folder(spec) for name, spec in self.runs.items() if not self.missing(name)}

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Folder -> name of each implemented run."""
        return {folder: name for name, folder in self.folders.items()}

    def missing(self, name: str) -> tuple[str, ...]:
        """Return the source files that the run needs and that do not exist yet."""
        return tuple(
            f"dmix/{ROOMS[section]}/{values['use']}.py"
            for section, values in self.runs[name].settings.items()
            if "use" in values and read_part(section, values["use"]) is None
        )

    def table_runs(self, table: Table) -> tuple[str, ...]:
        """Return the names of all runs that a table reads, without repetition."""
        return tuple(dict.fromkeys(name for grid in table.grids for name in self.grids[grid]))

    def origins(self, name: str) -> Mapping[tuple[str, str], Setting]:
        """Return (section, key) -> setting with its origin, for `dmix resolve`."""
        return self.resolver.settle(self.cells[name])


def folder(spec: RunSpec) -> str:
    """Return the folder of a run: its name, its spec digest and its code digest.

    Identity is in the path, so that no metadata of any checkout decides what is current.
    """
    return f"{spec.name}-{spec.digest()}-{code_digest(spec)}"


def load_grid(tier: str, path: Path = Path("params.yaml")) -> Grid:
    """Read, check and expand `params.yaml` for one tier.

    Raises
    ------
    DmixError: with file, line and key, when anything in the file is wrong.
    """
    document = load(path)
    params = validate(document)
    if tier not in params.tiers:
        raise DmixError(
            f"{path}: there is no tier named {tier!r}", f"choose one of {', '.join(params.tiers)}"
        )
    return expand(params, document, tier)


def expand(params: Params, document: Document, tier: str) -> Grid:
    """Expand checked parameters; see `load_grid`."""
    _check_references(params, document)
    resolver = Resolver(params, document, tier)
    runs: dict[str, RunSpec] = {}
    cells: dict[str, Cell] = {}
    grids: dict[str, tuple[str, ...]] = {}
    for grid in params.grids:
        names: list[str] = []
        for cell in _cells(params, document, grid):
            _check_possible(params, document, cell)
            settings, neutral = resolver.sections(cell)
            task = params.methods[cell.axes["method"]].task
            for seed in resolver.seeds:
                spec = RunSpec(task, cell.axes, settings, cell.variation, neutral, seed)
                name = spec.name
                if name in runs and runs[name].identity() != spec.identity():
                    raise DmixError(
                        f"{document.where('grids', grid)}: the run {name} is already defined by another "
                        "grid with other settings",
                        "make the difference an extra axis of the grid, so that it shows in the name",
                    )
                runs.setdefault(name, spec)
                cells.setdefault(name, cell)
                names.append(name)
        grids[grid] = tuple(names)
    for message in resolver.useless_rules():
        raise DmixError(message)
    return Grid(tier, params, document, runs, grids, resolver, cells)


def _cells(params: Params, document: Document, grid: str) -> Iterator[Cell]:
    entry = params.grids[grid]
    where: KeyPath = ("grids", grid)
    for needed in (*AXES, "recipe"):
        if needed not in entry:
            raise DmixError(f"{document.where(*where)}: the grid does not say which {needed}")
    extra = [key for key in entry if key not in (*AXES, "recipe")]
    for key in extra:
        if "." not in key:
            raise DmixError(
                f"{document.where(*where, key)}: unknown key",
                f"a grid takes {', '.join(AXES)}, recipe, and settings such as objective.eta as axes",
            )
    choices = [_choose(params, document, (*where, axis), axis, entry[axis]) for axis in AXES]
    recipes = _choose(params, document, (*where, "recipe"), "recipe", entry["recipe"])
    values = [entry[key] if isinstance(entry[key], list) else [entry[key]] for key in extra]
    for picked in itertools.product(*choices, recipes, *values):
        axes = dict(zip(AXES, picked, strict=False))
        variation = tuple(zip(extra, picked[len(AXES) + 1 :], strict=True))
        yield Cell(axes, str(picked[len(AXES)]), variation, where)


def _choose(params: Params, document: Document, where: KeyPath, axis: str, wanted: Any) -> list[str]:
    """Return the entries an axis names: a name, a list of names, or a selector {attribute: values}."""
    section = "recipes" if axis == "recipe" else PART_SECTIONS[axis]
    entries: Mapping[str, Any] = getattr(params, section)
    if isinstance(wanted, Mapping):
        unknown = [key for key in wanted if key not in ("kind", "family", "group", "task")]
        if unknown or not all(hasattr(entry, key) for key in wanted for entry in entries.values()):
            raise DmixError(f"{document.where(*where)}: {section} cannot be selected by {', '.join(wanted)}")
        chosen = [
            name
            for name, entry in entries.items()
            if all(
                getattr(entry, key) in (value if isinstance(value, list) else [value])
                for key, value in wanted.items()
            )
        ]
        if not chosen:
            raise DmixError(f"{document.where(*where)}: no entry of {section} matches")
        return chosen
    names = wanted if isinstance(wanted, list) else [wanted]
    for name in names:
        if name not in entries:
            raise DmixError(f"{document.where(*where)}: there is no {axis} named {name!r}")
    return names


def _check_references(params: Params, document: Document) -> None:
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
    for name, table in params.tables.items():
        for grid in table.grids:
            if grid not in params.grids:
                raise DmixError(f"{document.where('tables', name, 'grids')}: no grid named {grid!r}")
        for key, values in (("place", (*table.place, *table.place.values())), ("gain", _gain(table))):
            for objective in values:
                if objective not in params.objectives:
                    raise DmixError(f"{document.where('tables', name, key)}: no objective {objective!r}")


def _gain(table: Table) -> tuple[str, ...]:
    return (table.gain.of, table.gain.over) if table.gain else ()


def _check_possible(params: Params, document: Document, cell: Cell) -> None:
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
