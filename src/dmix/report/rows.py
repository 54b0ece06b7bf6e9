"""The rows of a table: which there are, in which order, and the title of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dmix.grid.schema import Params, Scalar, Table
from dmix.report.columns import Run, check_setting, rank, scalar, setting_title
from dmix.report.frame import NO_SETTING
from dmix.report.numbers import shortest

POLICY, METHOD = "policy", "method"
HEADINGS = {POLICY: "Policy", METHOD: "Method"}
KINDS = ("none", "recipe", "static", "dynamic")
UNSET = "none"
# A policy, a method with its objective, or the value of a setting.
RowKey = Scalar | tuple[str, str]


@dataclass(frozen=True)
class Row:
    """A policy, a method with an objective, or a value of a setting.

    A rule stands between rows of different `kind` or `group`.

    Attributes
    ----------
    kind: of a policy; "" where rows are no policies.
    group: name of the method; or the setting, of rows that have it.
    losses: the loss terms of a method and its objective, "" where the table does not show them.
    """

    key: RowKey
    title: str
    kind: Literal["", "none", "recipe", "static", "dynamic"] = ""
    group: str = ""
    losses: str = ""


def heading(rows: str) -> str:
    """Return what stands above the row titles: "Policy", "Method", or "Pairing rule" for pairing.rule."""
    if rows in HEADINGS:
        return HEADINGS[rows]
    words = rows.replace(".", " ").replace("_", " ")
    return words[:1].upper() + words[1:]


def row_key(run: Run, table: Table) -> RowKey:
    """Return the row that a run stands in."""
    if table.rows == METHOD:
        return run["method"], run["objective"]
    return scalar(run[table.rows])


def with_objective(key: RowKey, objective: str) -> RowKey:
    """Return the row of another objective: of the same method, or the same row where it says none."""
    return (key[0], objective) if isinstance(key, tuple) else key


def build_rows(name: str, runs: Sequence[Run], table: Table, params: Params) -> tuple[Row, ...]:
    """Return the rows that occur.

    Policies by kind, methods with the bare one first, both in the order of `params.yaml`; of a setting, the
    runs without it, the values that `row_titles` names in its order, and the others by value.

    Raises
    ------
    DmixError: no run has the setting that is to be the rows.
    """
    if table.rows == POLICY:
        return _policies({run["policy"] for run in runs}, params)
    if table.rows == METHOD:
        return _methods({(run["method"], run["objective"]) for run in runs}, table, params)
    values = {scalar(run[table.rows]) for run in runs}
    check_setting(name, "rows", table.rows, values)
    return _values(values, table)


def _policies(used: set[str], params: Params) -> tuple[Row, ...]:
    ranked = sorted(params.policies.items(), key=lambda item: KINDS.index(item[1].kind))
    return tuple(Row(key, entry.title, entry.kind) for key, entry in ranked if key in used)


def _methods(used: set[tuple[str, str]], table: Table, params: Params) -> tuple[Row, ...]:
    # A stable sort: among the mixed objectives the order of `params.yaml` stays.
    objectives = sorted(params.objectives, key=lambda key: params.objectives[key].group != "clean")
    return tuple(
        Row(
            key=(method, objective),
            title=f"{entry.title} {table.addons.get(objective, '')}".rstrip(),
            group=method,
            losses=_losses(entry.losses, objective, table, params),
        )
        for method, entry in params.methods.items()
        for objective in objectives
        if (method, objective) in used
    )


def _losses(terms: tuple[str, ...], objective: str, table: Table, params: Params) -> str:
    """Return the loss terms of a method, with an objective that is added to it: "CE + CR + MCE"."""
    if not table.losses:
        return ""
    added = (params.objectives[objective].title,) if objective in table.addons else ()
    return " + ".join((*terms, *added))


def _values(used: set[Scalar], table: Table) -> tuple[Row, ...]:
    named = list(table.row_titles)

    def order(key: Scalar) -> tuple[bool, int, tuple[int, float, str]]:
        place = named.index(shortest(key)) if shortest(key) in named else len(named)
        return key != NO_SETTING, place, rank(key)

    return tuple(
        Row(key, _value_title(key, table), group="" if key == NO_SETTING else table.rows)
        for key in sorted(used, key=order)
    )


def _value_title(key: Scalar, table: Table) -> str:
    usual = UNSET if key == NO_SETTING else setting_title(table.rows, key)
    return table.row_titles.get(shortest(key), usual)
