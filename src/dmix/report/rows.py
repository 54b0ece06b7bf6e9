"""The rows of a table: which there are, in which order, and the title of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dmix.grid.addons import with_base
from dmix.grid.schema import Params, Scalar, Table
from dmix.report.columns import Run, check_setting, rank, scalar, setting_title
from dmix.report.frame import NO_SETTING
from dmix.report.numbers import shortest

POLICY, METHOD = "policy", "method"
HEADINGS = {POLICY: "Policy", METHOD: "Method"}
KINDS = ("none", "recipe", "static", "dynamic")
UNSET = "none"
# A policy, a method with its add-on, or the value of a setting.
RowKey = Scalar | tuple[str, str]


@dataclass(frozen=True)
class Row:
    """A policy, a method with an add-on, or a value of a setting.

    A rule stands between rows of different `kind` or `group`.

    Attributes
    ----------
    kind: of a policy; "" where rows are no policies.
    group: name of the method; or the setting, of rows that have it.
    losses: the loss terms of a method and its add-on, "" where the table does not show them.
    """

    key: RowKey
    title: str
    kind: Literal["", "none", "recipe", "static", "dynamic"] = ""
    group: str = ""
    losses: str = ""


def heading(rows: str) -> str:
    """Return what stands above the row titles: "Policy", "Method", or "Addon rule" for addon.rule."""
    if rows in HEADINGS:
        return HEADINGS[rows]
    words = rows.replace(".", " ").replace("_", " ")
    return words[:1].upper() + words[1:]


def row_key(run: Run, table: Table) -> RowKey:
    """Return the row that a run stands in."""
    if table.rows == METHOD:
        return run["method"], run["addon"]
    return scalar(run[table.rows])


def build_rows(name: str, runs: Sequence[Run], table: Table, params: Params) -> tuple[Row, ...]:
    """Return the rows that occur.

    Policies by kind, methods with each of their add-ons, all in the order of `params.yaml`; of a setting, the
    runs without it, the values that `row_titles` names in its order, and the others by value.

    Raises
    ------
    DmixError: no run has the setting that is to be the rows.
    """
    if table.rows == POLICY:
        return _policies({run["policy"] for run in runs}, params)
    if table.rows == METHOD:
        return _methods({(run["method"], run["addon"]) for run in runs}, table, params)
    values = {scalar(run[table.rows]) for run in runs}
    check_setting(name, "rows", table.rows, values)
    return _values(values, table)


def _policies(used: set[str], params: Params) -> tuple[Row, ...]:
    ranked = sorted(params.policies.items(), key=lambda item: KINDS.index(item[1].kind))
    return tuple(Row(key, entry.title, entry.kind) for key, entry in ranked if key in used)


def _methods(used: set[tuple[str, str]], table: Table, params: Params) -> tuple[Row, ...]:
    addons = ("", *params.addons)  # a supervised method has none
    return tuple(
        Row(
            key=(method, addon),
            title=f"{entry.title} {addon_title(addon, params)}".rstrip(),
            group=method,
            losses=_losses(entry.losses, addon, params) if table.losses else "",
        )
        for method, entry in params.methods.items()
        for addon in addons
        if (method, addon) in used
    )


def addon_title(addon: str, params: Params) -> str:
    """Return what an add-on adds to the title of a method, "" for none."""
    return params.addons[addon].title if addon else ""


def _losses(terms: tuple[str, ...], addon: str, params: Params) -> str:
    """Return the loss terms of a method, with the objective that an add-on adds: "CE + CR + MCE"."""
    added = (
        (params.objectives[with_base(params, addon).objective].title,) if addon_title(addon, params) else ()
    )
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
