"""Reads what parts exist and what settings they take, from their source, without importing torch."""

from __future__ import annotations

import ast
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import annotated_types
from pydantic import BaseModel, ConfigDict, create_model

from dmix import PACKAGE
from dmix.errors import DmixError

ROOMS: Mapping[str, str] = {
    "dataset": "data/sets",
    "backbone": "backbones",
    "labels": "data/labels",
    "augment": "data/augment",
    "strong": "data/augment",
    "view": "data/views",
    "policy": "policies",
    "objective": "objectives",
    "method": "methods",
    "pairing": "methods/addons",
    "relation": "methods/class_relations",
}
_NAMES = {
    "Annotated": typing.Annotated,
    "Literal": typing.Literal,
    **{name: getattr(annotated_types, name) for name in ("Gt", "Ge", "Lt", "Le", "Interval", "Len")},
    **{kind.__name__: kind for kind in (bool, int, float, str, tuple)},
}


@dataclass(frozen=True)
class Part:
    """The signature of a part: its module, its callable's name and its settings."""

    section: str
    module: str
    attribute: str
    model: type[BaseModel]
    neutral: Mapping[str, Any]

    @property
    def source(self) -> str:
        """Path of the module below src/, for messages."""
        return self.module.replace(".", "/") + ".py"


def module_of(section: str, use: str) -> str:
    """Return the dotted module name of part `use` of `section`."""
    return f"dmix.{ROOMS[section]}/{use}".replace("/", ".")


@cache
def read_part(section: str, use: str) -> Part | None:
    """Return the part named `use`, or None where no such module exists (not yet implemented).

    Raises
    ------
    DmixError: the module has no callable marked `@part`, several, or a setting without annotation.
    """
    module = module_of(section, use)
    path = PACKAGE.joinpath(*ROOMS[section].split("/"), f"{use}.py")
    if not path.is_file():
        return None
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    marked = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and any(isinstance(mark, ast.Name) and mark.id == "part" for mark in node.decorator_list)
    ]
    if len(marked) != 1:
        raise DmixError(f"{path}: found {len(marked)} callables marked @part, expected exactly one")
    arguments = _keyword_only(marked[0], path)
    defaults = {
        name: ast.literal_eval(default) for name, (_, default) in arguments.items() if default is not None
    }
    fields: dict[str, Any] = {
        name: (_annotation(annotation, path), defaults.get(name, ...))
        for name, (annotation, _) in arguments.items()
    }
    model = create_model(marked[0].name, __config__=ConfigDict(extra="forbid"), **fields)
    # as JSON has them, which the settings of a run are
    neutral = {name: list(one) if isinstance(one, tuple) else one for name, one in defaults.items()}
    return Part(section, module, marked[0].name, model, neutral)


Argument = tuple[ast.expr, ast.expr | None]


def _keyword_only(node: ast.FunctionDef | ast.ClassDef, path: Path) -> dict[str, Argument]:
    """Return the keyword-only parameters of a function, or of a class's __init__."""
    if isinstance(node, ast.ClassDef):
        inits = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
        if not inits:
            return {}
        node = inits[0]
    result: dict[str, Argument] = {}
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if argument.annotation is None:
            raise DmixError(f"{path}:{argument.lineno}: the setting {argument.arg} has no type annotation")
        result[argument.arg] = (argument.annotation, default)
    return result


def _annotation(node: ast.expr, path: Path) -> Any:
    """Evaluate a setting's annotation, in which only plain types and ranges may occur."""
    source = ast.unparse(node)
    try:
        code = compile(ast.Expression(node), str(path), "eval")
        return eval(code, {"__builtins__": {}}, dict(_NAMES))  # noqa: S307 - our own source, no builtins
    except (NameError, TypeError, AttributeError) as error:
        allowed = ", ".join(sorted(_NAMES))
        raise DmixError(
            f"{path}:{node.lineno}: cannot read the annotation {source}: {error}",
            f"annotate settings with {allowed} alone",
        ) from error
