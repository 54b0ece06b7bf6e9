"""The levels of a table, its rows and each header line: which key a run has there, in which order, its title.

A level is an axis of the grid (the key is the name of an entry), a method with its add-on, or a setting
(the key is its value).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from dmix.errors import DmixError
from dmix.grid.axes import ADDON, AXIS, METHOD, OBJECTIVE, POLICY, is_setting
from dmix.grid.schema import Params
from dmix.grid.spec import canonical_json
from dmix.grid.table import Table
from dmix.grid.tier import Scalar
from dmix.report.frame import NO_SETTING
from dmix.report.numbers import GAP, shortest

EQUALS = " = "
# The paper's symbols of settings, as LaTeX.
SYMBOLS = {"eta": r"\eta", "xi": r"\xi", "alpha": r"\alpha", "beta": r"\beta", "lam": r"\lambda", "t": "t"}
KINDS = ("none", "recipe", "static", "dynamic")
UNSET = "none"
Run = Mapping[str, Any]
# The name of an entry, the value of a setting, or a method with its add-on.
Key = Scalar | tuple[str, str]
Rank = tuple[float | str, ...]


def setting_levels(levels: Iterable[str]) -> tuple[str, ...]:
    """Return the levels that are settings, not axes."""
    return tuple(level for level in levels if is_setting(level))


def settings_of(table: Table) -> tuple[str, ...]:
    """Return the settings that are rows or columns of `table`."""
    return setting_levels(table.levels)


def named_by(levels: Collection[str]) -> str:
    """Return the axis by which sources name what a table of these levels compares: method, or else policy."""
    return METHOD if METHOD in levels else POLICY


def heading(level: str) -> str:
    """Return what stands above the titles of a level: "Policy", or "Addon rule" for addon.rule."""
    if level in AXIS:
        return AXIS[level].heading
    words = level.replace(".", " ").replace("_", " ")
    return words[:1].upper() + words[1:]


def key_of(run: Run, level: str, table: Table) -> Key:
    """Return the key of a run; `place` moves an objective to the row or column of another."""
    if level == METHOD and table.pairs_addons:
        return run[METHOD], run[ADDON]
    value = run[level]
    if level == OBJECTIVE:
        value = table.place.get(value, value)
    return value if isinstance(value, bool | int | float | str) else canonical_json(value)


def check_setting(name: str, where: str, level: str, keys: Collection[Key]) -> None:
    """Refuse a setting that no run of the table `name` has; `where` is the key that asks for it."""
    if is_setting(level) and set(keys) == {NO_SETTING}:
        raise DmixError(
            f"table {name}: none of its runs has a setting {level}",
            f"correct tables.{name}.{where}; `dmix resolve` prints every setting of a run",
        )


def rank(key: Key, level: str, table: Table, params: Params) -> Rank:
    """Return the order of a key among those of its level.

    Policies are ordered by kind, and entries keep the order of `params.yaml`. Of a setting, runs without it
    come first, then the rows in the order of `row_titles`, then numbers by value, then text.
    """
    if isinstance(key, tuple):
        method, addon = key
        return _place(params.methods, method), _place(_addons(params), addon)
    if level == ADDON:
        return (_place(_addons(params), str(key)),)
    if is_setting(level):
        named = list(table.row_titles) if level == table.rows else []
        place = named.index(shortest(key)) if shortest(key) in named else len(named)
        value = (1, 0.0, key) if isinstance(key, str) else (0, float(key), "")
        return key != NO_SETTING, place, *value
    kind = KINDS.index(params.policies[str(key)].kind) if level == POLICY else 0
    return kind, _place(params.entries(level), str(key))


def title_of(key: Key, level: str, table: Table, params: Params) -> str:
    """Return the title of a key: of its entry, with what an add-on adds to a method, or "eta = 0.1"."""
    if isinstance(key, tuple):
        method, addon = key
        return f"{params.methods[method].title} {addon_title(addon, params)}".rstrip()
    if level == ADDON:
        return GAP if key == NO_SETTING else addon_title(str(key), params) or UNSET
    if is_setting(level):
        return _value_title(key, level, table)
    return params.title(level, str(key))


def addon_title(addon: str, params: Params) -> str:
    """Return what an add-on adds to the title of a method, "" for none."""
    return params.title(ADDON, addon) if addon else ""


def _addons(params: Params) -> Collection[str]:
    return ("", *params.addons)  # a supervised method has none


def _place(entries: Collection[str], name: str) -> int:
    return list(entries).index(name)


def _value_title(key: Scalar, level: str, table: Table) -> str:
    usual = f"{level.partition('.')[2]}{EQUALS}{shortest(key)}"
    if level == table.rows:
        return table.row_titles.get(shortest(key), UNSET if key == NO_SETTING else usual)
    if key == NO_SETTING:
        return GAP
    template = table.column_titles.get(level)
    return usual if template is None else template.replace("{}", shortest(key))
