"""Expands the parameters into the runs of a tier: the product of each grid's lists, times the seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from dmix.data_items import Item, read_sources
from dmix.errors import DmixError
from dmix.grid.by_id import KEPT, ById
from dmix.grid.cell import Cell, Setting, as_list
from dmix.grid.cells import cells_of
from dmix.grid.code import code_digest
from dmix.grid.damage import absent, way_to_weights
from dmix.grid.figure import FigureEntry
from dmix.grid.identity import Sections
from dmix.grid.images import check_images
from dmix.grid.includes import read_params
from dmix.grid.init import source_name, with_class_relations, with_sources
from dmix.grid.lazy import Lazy
from dmix.grid.parts import ROOMS, read_part
from dmix.grid.paths import RunPaths
from dmix.grid.paused_collection import paused_collection
from dmix.grid.presence import Needs, needs, own_sets, way_to_get, with_edition
from dmix.grid.references import check_possible, check_references
from dmix.grid.resolve import Resolver
from dmix.grid.schema import Params, validate
from dmix.grid.settings_table import SettingsTable
from dmix.grid.spec import RunSpec
from dmix.grid.table import Table
from dmix.grid.yaml_lines import Document
from dmix.overlap import stats


@dataclass(frozen=True)
class Grid:
    """Every run of one tier.

    Attributes
    ----------
    runs: name -> specification, in the order of the grids.
    grids: grid -> the names of its runs; without the grids that the tier omits.
    only: names of the runs to train (`restricted`); None: all. Others have a folder only with their record.
    """

    tier: str
    params: Params
    document: Document
    runs: Mapping[str, RunSpec]
    grids: Mapping[str, tuple[str, ...]]
    resolver: Resolver
    cells: Mapping[str, Cell]
    only: frozenset[str] | None = None

    def restricted(self, names: Iterable[str]) -> Grid:
        """Return the grid in which only `names` are trained; what they start from has to be among them."""
        return replace(self, only=frozenset(names))

    @cached_property
    def folders(self) -> Mapping[str, str]:
        """Name -> folder below results/<tier>/records, of each run that is trained or not blocked."""
        return Lazy(self.runs, self._folder, self._find_records)

    @cached_property
    def places(self) -> Mapping[str, str]:
        """Name -> folder (name and two digests) of each wanted run whose parts are all implemented."""
        return Lazy(self.runs, self._place)

    def _folder(self, name: str) -> str | None:
        there = name in self._recorded or self.blocked(name, self._looked) is None
        return self.places.get(name) if there else None

    @cached_property
    def _looked(self) -> dict[Needs, str | None]:
        """What `folders`, which is worked out once, has found of data and weights."""
        return {}

    @cached_property
    def _recorded(self) -> set[str]:
        """Names of runs known to have a record; `_find_records` fills it."""
        return set()

    def _find_records(self) -> None:
        """Look for the records of all runs that lack data or weights, many at a time."""
        lacking = [name for name in self.places if self.lacks(name, self._looked) is not None]
        paths = [str(RunPaths(self.tier, self.places[name]).record) for name in lacking]
        self._recorded.update(name for name, there in zip(lacking, stats(paths), strict=True) if there)

    def _place(self, name: str) -> str | None:
        if self.missing(name):
            return None
        place = folder(self.runs[name])
        if self.only is None or name in self.only or RunPaths(self.tier, place).record.exists():
            return place
        return None

    @cached_property
    def _items(self) -> Mapping[str, Item]:
        items = read_sources()
        return {**items, **own_sets(self.params.datasets, items)}

    @cached_property
    def _with_edition(self) -> tuple[str, ...]:
        return with_edition(self.params.datasets)

    @cached_property
    def embedded(self) -> tuple[str, ...]:
        """Names of the data sets whose embedded edition is read by runs with a folder."""
        read = {
            self.runs[name].axes["dataset"]
            for name in self.folders
            if self.runs[name].settings["dataset"].get("edition") == "embedded"
        }
        return tuple(name for name in self._with_edition if name in read)

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """Name -> table, of the tables that have a run at this tier."""
        return {name: table for name, table in self.params.tables.items() if self.table_runs(table)}

    @cached_property
    def figures(self) -> Mapping[str, FigureEntry]:
        """Name -> figure, of the figures that show a run of this tier, or none by design."""
        return {
            name: entry
            for name, entry in self.params.figures.items()
            if not entry.shows_runs or self.figure_runs(entry)
        }

    @cached_property
    def settings_tables(self) -> Mapping[str, SettingsTable]:
        """Name -> table of settings, of those with a grid that the tier does not omit."""
        found = self.params.settings_tables.items()
        return {name: table for name, table in found if any(self.grids.get(grid) for grid in table.grids)}

    @cached_property
    def class_relations(self) -> Mapping[str, RunSpec]:
        """Name -> specification of each class relation that a run with a folder depends on."""
        found = {name: spec.relation for name, spec in self.runs.items() if spec.relation is not None}
        return {spec.name: spec for name, spec in found.items() if name in self.folders}

    def name_of(self, folder: str) -> str:
        """Return the name of the run with this folder; looks at no other run.

        Raises
        ------
        KeyError: there is no such run, or it has other digests by now.
        """
        name = folder.rsplit("-", 2)[0]
        if self.folders[name] != folder:
            raise KeyError(folder)
        return name

    def missing(self, name: str) -> tuple[str, ...]:
        """Return the missing source files of parts that the run, or the run it starts from, uses."""
        spec = self.runs[name]
        own = _missing_parts(ById(spec.settings))
        source = self.missing(spec.source.name) if spec.source else ()
        return tuple(dict.fromkeys((*own, *source))) if source else own

    def blocked(self, name: str, looked: dict[Needs, str | None] | None = None) -> str | None:
        """Return how to unblock a run that lacks data or weights ("run dmix data fetch cub"), or None.

        A run with a record is not blocked: a clone with pulled records needs no data. `looked`: see `lacks`.
        """
        place = self.places.get(name)
        if place is None or (way_out := self.lacks(name, looked)) is None:
            return None
        return None if RunPaths(self.tier, place).record.exists() else way_out

    def lacks(self, name: str, looked: dict[Needs, str | None] | None = None) -> str | None:
        """Return how to get the data or weights that a run lacks, with or without a record, or None.

        Parameters
        ----------
        looked: what was found for runs of the same needs, to look for each file once; it is added to.
        """
        spec, looked = self.runs[name], {} if looked is None else looked
        wanted = needs(spec)
        if wanted not in looked:
            looked[wanted] = way_to_get(spec, self._items, self._with_edition)
        if (way_out := looked[wanted]) is not None:
            return way_out
        if spec.source is None and (source := source_name(spec)):
            return f"tier {self.tier} leaves out {source}, from whose weights it starts: add that to a grid"
        return self._lacks_start(spec.source.name, looked) if spec.source else None

    def _lacks_start(self, source: str, looked: dict[Needs, str | None]) -> str | None:
        """Return how to get the weights of a run that others start from, or its data."""
        place = self.places.get(source)
        paths = None if place is None else RunPaths(self.tier, place)
        if paths is not None and paths.record.exists():
            return way_to_weights(paths) if absent(paths.weights) else None
        return self.blocked(source, looked)

    def table_runs(self, table: Table) -> tuple[str, ...]:
        """Return the names of all runs that a table reads, each once."""
        return self._runs_of(table.grids)

    def figure_runs(self, figure: FigureEntry) -> tuple[str, ...]:
        """Return the names of all runs that a figure shows, each once."""
        grids = figure.grids_of(self.params.tables)
        return tuple(name for name in self._runs_of(grids) if figure.shows(self.runs[name]))

    def _runs_of(self, grids: Iterable[str]) -> tuple[str, ...]:
        here = [self.grids[grid] for grid in grids if grid in self.grids]
        return tuple(dict.fromkeys(name for names in here for name in names))

    def origins(self, name: str) -> Mapping[tuple[str, str], Setting]:
        """Return (section, key) -> setting with its origin in the parameter files."""
        return self.resolver.settle(self.cells[name])


@lru_cache(maxsize=KEPT)
def _missing_parts(settings: ById[Sections]) -> tuple[str, ...]:
    """Return the missing source files of the parts that all seeds of a cell use."""
    return tuple(
        f"dmix/{ROOMS[section]}/{values['use']}.py"
        for section, values in settings.value.items()
        if "use" in values and read_part(section, values["use"]) is None
    )


def folder(spec: RunSpec) -> str:
    """Return the folder of a run: its name, its spec digest and its code digest.

    With the identity in the path, whether a run is current needs no metadata of a checkout.
    """
    return f"{spec.name}-{spec.digest()}-{code_digest(spec)}"


@paused_collection()
def load_grid(tier: str, path: Path = Path("params.yaml"), *, thorough: bool = True) -> Grid:
    """Read, check and expand `params.yaml` and the files that it includes, for one tier.

    With `thorough`, the settings of what the tier leaves out are checked too, and those of the other tiers,
    which takes most of the time. Jobs, and commands that render, leave that to the workflow and `dmix plan`.

    Raises
    ------
    DmixError: anything in these files is wrong; it names file, line and key.
    """
    document = read_params(path)
    params = validate(document)
    if tier not in params.tiers:
        raise DmixError(
            f"{path}: there is no tier named {tier!r}", f"choose one of {', '.join(params.tiers)}"
        )
    grid = expand(params, document, tier, thorough=thorough)
    for other in params.tiers if thorough else ():
        if other != tier and params.tiers[other].scale is None:  # else its settings are those of its scale
            _check_values(params, document, other)
    return grid


def _check_values(params: Params, document: Document, tier: str) -> None:
    """Refuse wrong settings of the grids of another tier, so that a mistake shows before that one is run."""
    check_references(params, document, tier)
    resolver = Resolver(params, document, tier)
    for grid in filter(params.tiers[tier].has, params.grids):
        for cell in cells_of(params, document, grid):
            resolver.sections(cell)


def expand(params: Params, document: Document, tier: str, *, thorough: bool = True) -> Grid:
    """Expand checked parameters; see `load_grid`.

    With `thorough`, cells that the tier leaves out are resolved too, so that every tier finds wrong settings
    and useless overrides.
    """
    check_references(params, document, tier)
    tables = {name: table.at_tier(tier) for name, table in params.tables.items()}
    params = params.model_copy(update={"tables": tables})
    resolver = Resolver(params, document, tier)
    runs: dict[str, RunSpec] = {}
    cells: dict[str, Cell] = {}
    grids: dict[str, tuple[str, ...]] = {}
    left_out: set[str] = set()
    own_tier = params.tiers[tier]
    for grid, entry in params.grids.items():
        names: list[str] = []
        own = own_tier.narrow.get(grid, {})
        kept = {axis: as_list(entries) for axis, entries in own.items() if "." not in axis}
        seeds = kept.pop("seeds", as_list(entry.get("seeds", list(resolver.seeds))))
        varied = {axis: values for axis, values in own.items() if "." in axis}
        for cell in cells_of(params, document, grid, varied):
            narrowed = any(cell.axes[axis] not in these for axis, these in kept.items())
            here = own_tier.has(grid) and not narrowed
            if not here and not thorough:
                continue
            check_possible(params, document, cell)
            table = resolver.settle(cell)
            check_images(document, cell, table)
            settings, neutral = resolver.sections(cell, table)
            task = params.methods[cell.axes["method"]].task
            variation = _told_apart(resolver, cell, settings, neutral)
            for seed in seeds:
                spec = RunSpec(task, cell.axes, settings, variation, neutral, seed)
                name = spec.name
                if not here:
                    left_out.add(name)
                    continue
                known = runs.get(name, spec)
                if known != spec and known.identity() != spec.identity():  # comparing settings is cheaper
                    raise DmixError(
                        f"{document.where('grids', grid)}: the run {name} is already defined by another "
                        "grid with other settings",
                        "make the difference an extra axis of the grid, so that it shows in the name",
                    )
                runs.setdefault(name, spec)
                cells.setdefault(name, cell)
                names.append(name)
        if own_tier.has(grid):
            grids[grid] = tuple(dict.fromkeys(names))
    for message in resolver.useless_rules() if thorough else ():
        raise DmixError(message)
    complete = with_class_relations(with_sources(runs, cells, document, left_out if thorough else None))
    return Grid(tier, params, document, complete, grids, resolver, cells)


def _told_apart(
    resolver: Resolver,
    cell: Cell,
    settings: Mapping[str, Mapping[str, Any]],
    neutral: Mapping[str, Mapping[str, Any]],
) -> tuple[tuple[str, Any], ...]:
    """Return the extra axes whose value differs from the one that the cell has without them.

    At that value the cell is the same run as in other tables, which it shares with them.
    """
    if not cell.variation:
        return ()
    usual = resolver.usual(cell)
    found = []
    for key, _ in cell.variation:
        section, name = key.split(".", 1)
        value = settings[section][name]
        own = usual.get((section, name))
        if value != (own.value if own else neutral.get(section, {}).get(name)):
            found.append((key, value))
    return tuple(found)
