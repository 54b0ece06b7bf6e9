"""Rebuilds a run's specification from its record, without the parameter files of today.

It reverses `dmix.grid.identity`: settings at their neutral value come from the signatures of the parts, those
of optimiser and schedule from the recipe among which they are recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dmix.errors import DmixError
from dmix.grid.checked import RECIPE_NEUTRAL
from dmix.grid.entry_settings import NO_VIEW
from dmix.grid.equivalent import equivalences, use_key
from dmix.grid.identity import FIRST_SECTION, OF_RECIPE
from dmix.grid.init import OF_CLASS_RELATION, OF_ITS_RECIPE, source_name
from dmix.grid.parts import Part, module_of, read_part
from dmix.grid.promise import differences
from dmix.grid.schema import Recipe
from dmix.grid.spec import AXES, SECTIONS, RunSpec

Settings = dict[str, dict[str, Any]]
Neutral = dict[str, Mapping[str, Any]]

RELATION = "relation"
"""Task of the specification of a class relation, and the key under which a run's identity has it."""

WAY_OUT = "use the release of dmix that made the record: it states git_commit and the digest of each module"


def rebuilt(name: str, identity: Mapping[str, Any]) -> RunSpec:
    """Return the specification of a run, by its name and the settings in its record (`Record.spec`).

    Axes are those of the name, which does not tell the add-on's entry.

    Raises
    ------
    DmixError: a part or a setting is not known here, so that the settings are not those of the record.
    """
    spec = _with_needed(name, identity, *_parsed(name))
    if changed := differences(identity, spec.identity()):
        raise DmixError(f"{name}: its settings mean something else here: {'; '.join(changed)}", WAY_OUT)
    return spec


def _with_needed(
    name: str,
    identity: Mapping[str, Any],
    task: str,
    axes: Mapping[str, str],
    variation: tuple[tuple[str, Any], ...],
) -> RunSpec:
    """Return the specification with those of the run that it starts from and of its class relation."""
    own = {key: values for key, values in identity.items() if key not in ("source", "seed")}
    # Of a run, `relation` is the identity of a class relation; of a class relation, a section.
    learned = own.pop("relation", None) if task != RELATION else None
    settings, neutral = _sections(name, own, OF_CLASS_RELATION if task == RELATION else SECTIONS)
    if task == RELATION:
        settings["recipe"] = {key: settings["recipe"][key] for key in OF_ITS_RECIPE}
    spec = RunSpec(task, axes, settings, variation, neutral, identity["seed"])
    if (first := identity.get("source")) is not None:
        start = source_name(spec)
        if start is None:
            raise DmixError(f"{name}: its record has a source, but recipe.init names no run", WAY_OUT)
        spec = replace(spec, source=_with_needed(start, first, *_parsed(start)))
    if learned is not None:
        of = {axis: axes[axis] for axis in ("dataset", "backbone")}
        relation = _with_needed(name, learned, RELATION, of, ())
        settings["relation"] = dict(relation.settings["relation"])
        spec = replace(spec, relation=relation)
    return spec


def _parsed(name: str) -> tuple[str, Mapping[str, str], tuple[tuple[str, Any], ...]]:
    """Return task, axes and extra axes of a run by its name (`RunSpec.name`)."""
    task, *rest = name.split("/")[:-1]
    extra = [segment for segment in rest if "=" in segment]
    entries = [segment for segment in rest if "=" not in segment]
    if len(entries) == len(AXES) - 1:
        entries.insert(0, task)  # a method with the name of its task has no segment
    if len(entries) != len(AXES):
        raise DmixError(
            f"{name!r} is no name of a run", "it is task/.../dataset/backbone/policy/objective/s0"
        )
    # The name has a setting's key without its section, and the value as it was written.
    variation = tuple((f".{key}", value) for key, _, value in (one.partition("=") for one in extra))
    return task, dict(zip(AXES, entries, strict=True)), variation


def _sections(name: str, recorded: Mapping[str, Any], wanted: tuple[str, ...]) -> tuple[Settings, Neutral]:
    """Return all settings and the neutral values, by section."""
    settings: Settings = {section: {} for section in wanted}
    neutral: Neutral = {"recipe": RECIPE_NEUTRAL, "view": NO_VIEW}
    left = dict(recorded)
    recipe = dict(left.pop("recipe", {}))
    for section in wanted:
        if section in (*OF_RECIPE, "recipe"):
            continue
        values = left.pop(FIRST_SECTION.get(section, section), {})
        if section == "view":
            values = {**NO_VIEW, **values}
        if values:
            settings[section] = _of_part(name, section, values, neutral)
    for section in OF_RECIPE:
        if section in recipe:
            use, part = _part(name, section, recipe.pop(section))
            own = {key: recipe.pop(key) for key in part.model.model_fields if key in recipe}
            settings[section] = _of_part(name, section, {"use": use, **own}, neutral)
    settings["recipe"] = {**RECIPE_NEUTRAL, **recipe}
    unknown = [*left, *(f"recipe.{key}" for key in recipe if key not in Recipe.model_fields)]
    if unknown:
        raise DmixError(
            f"{name}: its record has settings that are not known here: {', '.join(unknown)}", WAY_OUT
        )
    return settings, neutral


def _of_part(name: str, section: str, values: Mapping[str, Any], neutral: Neutral) -> dict[str, Any]:
    """Return the settings of a section of parts; add the part's neutral values to `neutral`."""
    use, part = _part(name, section, values.get("use"))
    neutral[section] = {**neutral.get(section, {}), **part.neutral}
    return {**part.neutral, **values, "use": use}


def _part(name: str, section: str, use: Any) -> tuple[str, Part]:
    """Return today's name of a part that is recorded under its first one, and the part."""
    known = equivalences()
    first = use_key(section, str(use))
    later = (key.partition("=")[2] for key in known.by_new if known.oldest(key) == first)
    for each in (str(use), *later):
        if (part := read_part(section, each)) is not None:
            return each, part
    raise DmixError(
        f"{name} needs {section} {use!r}, which is not here: {module_of(section, str(use))}", WAY_OUT
    )
