"""The JSON schema with which an editor checks and completes `params.yaml` and the files that it includes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from dmix import PACKAGE
from dmix.grid.axes import AXIS
from dmix.grid.cells import OF_ADDON, SELECTORS, VANILLA
from dmix.grid.entry_settings import PRETRAINED
from dmix.grid.includes import INCLUDE
from dmix.grid.parts import ROOMS, read_part
from dmix.grid.schema import Params, Recipe
from dmix.grid.spec import AXES, SECTIONS

Schema = dict[str, Any]
PartName = tuple[str, str]
"""Section and `use` of a part, such as ("policy", "cutmix")."""

MARK = re.compile(r"^@part$", re.MULTILINE)
OWNERS = ("RecipeEntry", "MethodEntry")  # entries that contain parts, such as a recipe's `augment`
NAME: Schema = {"type": "string"}
NAMES: Schema = {"anyOf": [NAME, {"type": "array", "items": NAME}]}


class _WithoutTitles(GenerateJsonSchema):
    """Generates schemas without titles of fields, which would repeat their keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def editor_schema(parts: Iterable[PartName] | None = None) -> Schema:
    """Return the schema, of draft 2020-12, that every one of these files fulfils.

    Sections and entries come from `dmix.grid.schema.Params`, settings from the signatures of the parts. No
    section is required, because it may be in another file.

    Parameters
    ----------
    parts: the parts whose settings are included, by default all; settings of others are not checked.
    """
    whole = Params.model_json_schema(schema_generator=_WithoutTitles)
    recipe = Recipe.model_json_schema(schema_generator=_WithoutTitles)
    definitions: Schema = whole["$defs"] | recipe.get("$defs", {})
    entry = definitions["RecipeEntry"]
    entry |= {"properties": recipe["properties"] | entry["properties"], "additionalProperties": False}
    entry["properties"]["init"] = {"anyOf": [{"const": PRETRAINED}, recipe["properties"]["init"]]}
    sections: Schema = whole["properties"]
    sections[INCLUDE] = {"type": "array", "items": NAME, "description": "names or patterns of further files"}
    sections["grids"]["additionalProperties"] = _grid()
    by_section: dict[str, list[str]] = {section: [] for section in ROOMS}
    for section, use in all_parts() if parts is None else parts:
        by_section[section].append(use)
    for section, uses in by_section.items():
        own = {"use": NAME}
        if section in AXIS:
            entries = sections[AXIS[section].section]
            reference = entries["additionalProperties"]
            model = definitions[reference["$ref"].rpartition("/")[2]]
            own = model["properties"]
            model["allOf"] = [_if_used(section, use) for use in uses]
            entries["properties"] = {use: _if_named(section, use, reference) for use in uses}
        definitions |= {_key(section, use): _settings(section, use, own) for use in uses}
        for owner in (definitions[name]["properties"] for name in OWNERS):
            if section in owner:
                owner[section] = {
                    "type": "object",
                    "properties": {"use": NAME},
                    "allOf": [_if_used(section, use) for use in uses],
                }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dmix",
        "description": whole["description"],
        "type": "object",
        "properties": sections,
        "additionalProperties": False,
        "$defs": definitions,
    }


def as_text(schema: Schema) -> str:
    """Return the schema as JSON with a line for each section and each definition."""
    text = json.dumps(schema, indent=1)
    # Deeper levels stay on one line.
    return re.sub(r"\n(?: {3,}| {2}(?=[\]}]))", "", text) + "\n"


def all_parts() -> Iterator[PartName]:
    """Yield every part of the package, section by section, in the order of file names."""
    for section, room in ROOMS.items():
        folder = PACKAGE / room
        inner = [PACKAGE / other for other in set(ROOMS.values()) if other.startswith(f"{room}/")]
        for path in sorted(folder.rglob("*.py")):
            if any(path.is_relative_to(other) for other in inner):
                continue  # belongs to another section
            if MARK.search(path.read_text(encoding="utf-8")):
                yield section, path.relative_to(folder).with_suffix("").as_posix()


def _key(section: str, use: str) -> str:
    """Return the name of a part's definition; without slashes, which JSON pointers would have to escape."""
    return f"{section}.{use}".replace("/", ".")


def _settings(section: str, use: str, own: Schema) -> Schema:
    """Return the schema of a part's settings; `own` are the other keys of its entry.

    No setting is required: another line, such as an override, may give it.
    """
    part = read_part(section, use)
    properties = part.model.model_json_schema(schema_generator=_WithoutTitles)["properties"] if part else {}
    return {"properties": properties, "propertyNames": {"enum": [*own, *properties]}}


def _if_used(section: str, use: str) -> Schema:
    condition = {"properties": {"use": {"const": use}}, "required": ["use"]}
    return {"if": condition, "then": {"$ref": f"#/$defs/{_key(section, use)}"}}


def _if_named(section: str, use: str, entry: Schema) -> Schema:
    """Return the schema of the entry named like the part; with `use` it may be of another part."""
    settings = {"$ref": f"#/$defs/{_key(section, use)}"}
    return {"allOf": [entry, {"if": {"not": {"required": ["use"]}}, "then": settings}]}


def _grid() -> Schema:
    """Return the schema of a grid, which has no pydantic model (`dmix.grid.cells` checks it)."""
    keys = (*SELECTORS, "except", "also")
    selector = {"type": "object", "properties": dict.fromkeys(keys, NAMES), "additionalProperties": False}
    number = {"type": "integer", "minimum": 0}
    axes = {axis: {"anyOf": [*NAMES["anyOf"], selector]} for axis in (*AXES, "addon")}
    always = [axis for axis in AXES if axis not in OF_ADDON]
    return {
        "type": "object",
        "properties": {
            **axes,
            "recipe": NAMES,
            "seeds": {"anyOf": [number, {"type": "array", "items": number}]},
            VANILLA: {**NAME, "description": "objective of the companion without mixing"},
        },
        "patternProperties": {rf"^({'|'.join(SECTIONS)})\.\w+$": {"description": "a setting as an axis"}},
        "additionalProperties": False,
        "required": [*always, "recipe"],
        "oneOf": [{"required": ["addon"]}, {"required": list(OF_ADDON)}],
    }
