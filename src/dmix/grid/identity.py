"""Converts the settings of a run into the form in which they are hashed and recorded.

The form is frozen, whatever the layout of the parameter files. If a setting moves to another section or is
renamed there, `place` still returns its first place, so that finished runs stay valid
(tests/grid/digests.json).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from dmix.grid.by_id import KEPT, ById
from dmix.grid.equivalent import Equivalences, equivalences, use_key

Sections = Mapping[str, Mapping[str, Any]]

OF_RECIPE = ("optimizer", "schedule")
"""Sections recorded among the settings of the recipe, their `use` under the name of the section."""

FIRST_SECTION: Mapping[str, str] = MappingProxyType({"addon": "pairing"})
"""Renamed section -> its first name, under which it is recorded."""


def place(section: str, key: str) -> tuple[str, str]:
    """Return the section and the key under which a setting is recorded."""
    if section in OF_RECIPE:
        return "recipe", section if key == "use" else key
    return FIRST_SECTION.get(section, section), key


def first_name(section: str, use: str, known: Equivalences) -> str:
    """Return the first name of a part that may have been renamed since (`dmix.grid.equivalent`)."""
    return known.oldest(use_key(section, use)).partition("=")[2]


NO_NEUTRAL: Mapping[str, Any] = MappingProxyType({})


def recorded(
    settings: Sections, neutral: Sections, known: Equivalences | None = None
) -> dict[str, Mapping[str, Any]]:
    """Return the settings in the recorded form, without those at their neutral value.

    Calls share what they return of equal sections: change nothing in place.

    Parameters
    ----------
    known: the equivalences by which parts have their first names; by default those of this folder.
    """
    found: dict[str, Mapping[str, Any]] = {}
    known = equivalences() if known is None else known
    for section, values in settings.items():
        own = _recorded_section(section, ById(values), ById(neutral.get(section, NO_NEUTRAL)), known)
        for home, named in own.items():
            found[home] = {**found[home], **named} if home in found else named
    return found


@lru_cache(maxsize=KEPT)
def _recorded_section(
    section: str, settings: ById[Mapping[str, Any]], neutral: ById[Mapping[str, Any]], known: Equivalences
) -> Mapping[str, Mapping[str, Any]]:
    """As `recorded`, of one section, which most cells share with others."""
    found: dict[str, dict[str, Any]] = {}
    values, usual = settings.value, neutral.value
    if "use" in values:
        values = {**values, "use": first_name(section, values["use"], known)}
    for key, value in values.items():
        if key not in usual or value != usual[key]:
            home, name = place(section, key)
            found.setdefault(home, {})[name] = value
    return found


def clash(settings: Sections) -> tuple[tuple[str, str], tuple[str, str]] | None:
    """Return the first two settings, as (section, key), that would be recorded under one name, or None."""
    return _clash(tuple((section, tuple(values)) for section, values in settings.items()))


@lru_cache(maxsize=1000)
def _clash(named: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[tuple[str, str], tuple[str, str]] | None:
    """As `clash`, of names alone: most cells have the same ones."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for section, keys in named:
        for one in ((section, key) for key in keys):
            other = first.setdefault(place(*one), one)
            if other != one:
                return other, one
    return None
