"""Gathers the runs of each cell of a table, and finds the cell that a gain is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dmix.errors import DmixError
from dmix.grid.addons import with_base
from dmix.grid.axes import ADDON, OBJECTIVE, POLICY
from dmix.grid.schema import Params
from dmix.grid.table import Table
from dmix.report.cells import Runs
from dmix.report.columns import Keys, column_keys
from dmix.report.frame import NO_SETTING
from dmix.report.levels import Run, key_of

# Keys of the row and of each header line -> seed -> run.
Pool = Mapping[Keys, Runs]


def build_pool(name: str, runs: Sequence[Run], table: Table) -> Pool:
    """Return the runs by cell and seed, refusing runs of one cell that differ in more than the seed."""
    pool: dict[Keys, dict[int, Run]] = {}
    for run in runs:
        seeds = pool.setdefault((key_of(run, table.rows, table), *column_keys(run, table)), {})
        for other in seeds.values():
            if _without_seed(other) != _without_seed(run):
                raise DmixError(
                    f"table {name}: {other['name']} and {run['name']} would stand in one cell",
                    f"give tables.{name} other grids, or more axes and settings as columns",
                )
        seeds[int(run["seed"])] = run
    return pool


def _without_seed(run: Run) -> str:
    return str(run["name"]).rpartition("/")[0]


def compared_with(pool: Pool, keys: Keys, table: Table, params: Params) -> Keys:
    """Return the cell that the gain of the cell `keys` is over, () where it has none."""
    runs = pool.get(keys, {})
    gain = table.gain
    if gain is None or {run[table.compared] for run in runs.values()} != {gain.of}:
        return ()
    beside = _entries_with(gain.over, table, params)
    wanted = tuple(
        (key[0], gain.over) if isinstance(key, tuple) else beside.get(level, key)
        for level, key in zip(table.levels, keys, strict=True)
    )
    return _nearest(pool, wanted, gain.over, table.compared)


def _entries_with(over: str, table: Table, params: Params) -> Mapping[str, str]:
    """Return axis -> key, of the axes on which the runs that a gain is over differ from those it is of."""
    if table.compared == OBJECTIVE:
        return {OBJECTIVE: table.place.get(over, over)}
    addon = with_base(params, over)
    objective = table.place.get(addon.objective, addon.objective)
    return {ADDON: over, POLICY: addon.policy, OBJECTIVE: objective}


def _nearest(pool: Pool, wanted: Keys, over: str, axis: str) -> Keys:
    """Return the cell at `wanted` whose runs have `over` on `axis`, or else the one nearest to it; or ().

    Nearest is a cell that differs only by settings that its runs do not have (MCE has no eta), and by as few
    as possible. A cell may hold another objective, one that `place` put there.
    """
    found = [
        keys
        for keys, runs in pool.items()
        if all(key in (NO_SETTING, other) for key, other in zip(keys, wanted, strict=True))
        and {run[axis] for run in runs.values()} == {over}
    ]
    return min(
        found, key=lambda keys: sum(key != other for key, other in zip(keys, wanted, strict=True)), default=()
    )
