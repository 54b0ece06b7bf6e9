"""Every part of a section, found in its folder, with settings to try it by: those of the first smoke run.

A stranger's part is found by its file, and tried as soon as an entry of params.yaml and a grid name it.
"""

from __future__ import annotations

import typing
from functools import cache

import pytest
from annotated_types import Ge, Gt, Interval, Le, Lt

from dmix import PACKAGE
from dmix.grid.expand import load_grid
from dmix.grid.parts import ROOMS, read_part
from project import ROOT


@cache
def runs():
    """Every run of the smoke tier, by name."""
    return load_grid("smoke", ROOT / "params.yaml").runs


def uses(section):
    """The names of a section's parts, without those of other sections whose folders are inside its own."""
    room = PACKAGE / ROOMS[section]
    others = [PACKAGE / other for other in ROOMS.values() if (PACKAGE / other).is_relative_to(room)]
    return [
        path.relative_to(room).with_suffix("").as_posix()
        for path in sorted(room.rglob("*.py"))
        if not any(path.is_relative_to(other) for other in others if other != room)
        and "\n@part\n" in path.read_text(encoding="utf-8")
    ]


@cache
def first_runs(section):
    """Part -> the first run that uses it, here or in another section of the same folder, and its settings."""
    found = {}
    same = [other for other in ROOMS if ROOMS[other] == ROOMS[section]]
    for spec in runs().values():
        for other in same:
            settings = spec.settings.get(other)
            if settings:
                found.setdefault(settings["use"], (spec, settings))
    return found


def cases(section):
    """The parts of a section as parameters of a test: (settings, spec of the run or None)."""
    return [_case(section, use) for use in uses(section)]


def _case(section, use):
    if use in first_runs(section):
        spec, settings = first_runs(section)[use]
        return pytest.param((settings, spec), id=use)
    model = read_part(section, use).model
    try:
        settings = _borrowed(section, model) or {name: _smallest(field) for name, field in _fields(model)}
        settings = model(**settings).model_dump(mode="json")
    except ValueError as error:
        return pytest.param(None, id=use, marks=pytest.mark.skip(f"no smoke run uses {use}: {error}"))
    return pytest.param(({"use": use, **settings}, None), id=use)


def _borrowed(section, model):
    """The settings of a run's part that takes exactly the same ones, such as another form of this one."""
    for _, settings in first_runs(section).values():
        own = {key: value for key, value in settings.items() if key != "use"}
        if own.keys() == model.model_fields.keys() != set():
            return own
    return None


def _fields(model):
    return model.model_fields.items()


def _smallest(field):
    """The neutral value, the first choice, or the least round number within the bounds.

    Raises
    ------
    ValueError: the annotation says of no value that it is valid.
    """
    kind = field.annotation
    if not field.is_required():
        return field.default
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)[0]
    if kind is bool:
        return False
    if kind not in (int, float):
        raise ValueError(f"its annotation {kind} names no smallest value")
    limits = [
        part for bound in field.metadata for part in (bound if isinstance(bound, Interval) else (bound,))
    ]
    ge = max((bound.ge for bound in limits if isinstance(bound, Ge)), default=None)
    gt = max((bound.gt for bound in limits if isinstance(bound, Gt)), default=None)
    top = min(
        (bound.le if isinstance(bound, Le) else bound.lt for bound in limits if isinstance(bound, Le | Lt)),
        default=None,
    )
    if gt is None:
        return kind(0 if ge is None else ge)
    return kind(gt + 1) if kind is int or top is None or gt + 1 < top else (gt + top) / 2
