"""The rows of a table: which there are, in which order, and what stands on the left of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from dmix.grid.addons import with_base
from dmix.grid.axes import OBJECTIVE, POLICY, is_setting
from dmix.grid.schema import Params
from dmix.grid.table import Table
from dmix.report.frame import NO_SETTING
from dmix.report.levels import Key, Run, addon_title, check_setting, key_of, rank, title_of


@dataclass(frozen=True)
class Row:
    """One row; a rule stands between rows of different `kind` or `group`.

    Attributes
    ----------
    kind: of a policy; "" where rows are no policies.
    group: the method, of rows by method with add-on; the setting, of rows that have it; else "".
    losses: the loss terms of a method and its add-on, "" where the table does not show them.
    """

    key: Key
    title: str
    kind: Literal["", "none", "recipe", "static", "dynamic"] = ""
    group: str = ""
    losses: str = ""


def build_rows(name: str, runs: Iterable[Run], table: Table, params: Params) -> tuple[Row, ...]:
    """Return the rows that occur, in the order of their level.

    Raises
    ------
    DmixError: no run has the setting that is to be the rows.
    """
    used = {key_of(run, table.rows, table) for run in runs}
    check_setting(name, "rows", table.rows, used)
    return tuple(
        Row(
            key=key,
            title=title_of(key, table.rows, table, params),
            kind=params.policies[str(key)].kind if table.rows == POLICY else "",
            group=_group(key, table),
            losses=_losses(key, table, params),
        )
        for key in sorted(used, key=lambda key: rank(key, table.rows, table, params))
    )


def _group(key: Key, table: Table) -> str:
    if isinstance(key, tuple):
        return key[0]
    return table.rows if is_setting(table.rows) and key != NO_SETTING else ""


def _losses(key: Key, table: Table, params: Params) -> str:
    """Return the loss terms of a method, with the objective that an add-on adds: "CE + CR + MCE"."""
    if not table.losses or not isinstance(key, tuple):
        return ""
    method, addon = key
    terms = params.methods[method].losses
    if addon_title(addon, params):
        terms = (*terms, params.title(OBJECTIVE, with_base(params, addon).objective))
    return " + ".join(terms)
