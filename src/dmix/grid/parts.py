"""Reads what parts exist and what settings they take, from their source, without importing torch."""

from __future__ import annotations

import ast
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import annotated_types
from pydantic import BaseModel, ConfigDict, create_model

from dmix import PACKAGE
from dmix.errors import DmixError
from dmix.grid.constants import assigned

ROOMS: Mapping[str, str] = {
    "dataset": "data/sets",
    "backbone": "backbones",
    "labels": "data/labels",
    "optimizer": "engine/optimizers",
    "schedule": "engine/schedules",
    "augment": "data/augment",
    "strong": "data/augment",
    "view": "data/views",
    "policy": "policies",
    "objective": "objectives",
    "method": "methods",
    "addon": "methods/addons",
    "relation": "methods/class_relations",
    "figure": "figures",
}
_NAMES = {
    "Annotated": typing.Annotated,
    "Literal": typing.Literal,
    **{name: getattr(annotated_types, name) for name in ("Gt", "Ge", "Lt", "Le", "Interval", "Len")},
    **{kind.__name__: kind for kind in (bool, int, float, str, tuple)},
}


@dataclass(frozen=True)
class Part:
    """A part as described by its source: its module, its callable's name and its settings.

    Attributes
    ----------
    model: pydantic model of the settings. neutral: setting -> default.
    methods: names of the methods that its class defines, or inherits inside dmix; empty for a function.
    classes: names of its class and of that class's bases; empty for a function.
    folders: of a data set, the module's constant FOLDER: its folder, or entry -> folder.
    functions: names of the functions of its module and of its class's own methods.
    constants: name -> value of the module's string constants, such as the reason for a missing function.
    """

    section: str
    module: str
    attribute: str
    model: type[BaseModel]
    neutral: Mapping[str, Any]
    methods: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    folders: str | Mapping[str, str] | None = None
    functions: frozenset[str] = frozenset()
    constants: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """Path of the module below src/, for messages."""
        return self.module.replace(".", "/") + ".py"

    def folder(self, entry: str) -> str:
        """Return the folder of a data set below an edition: the module's FOLDER, or the entry's name."""
        if isinstance(self.folders, str):
            return self.folders
        return (self.folders or {}).get(entry, entry)


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
    model = create_model(marked[0].name, __config__=ConfigDict(extra="forbid", allow_inf_nan=False), **fields)
    # Lists in place of tuples: the settings of a run are JSON values.
    neutral = {name: list(one) if isinstance(one, tuple) else one for name, one in defaults.items()}
    beside = [*tree.body, *(marked[0].body if isinstance(marked[0], ast.ClassDef) else ())]
    family = list(_family(marked[0].name, tree))
    return Part(
        *(section, module, marked[0].name, model, neutral),
        methods=frozenset(method for base in family for method in base.methods),
        classes=frozenset(base.name for base in family),
        folders=_folders(tree, path) if section == "dataset" else None,
        functions=frozenset(node.name for node in beside if isinstance(node, ast.FunctionDef)),
        constants=_constants(tree),
    )


@cache
def embedded_editions() -> tuple[str, ...]:
    """Return the names of the data sets that have an embedded edition."""
    tree = ast.parse(PACKAGE.joinpath("data", "embedded", "editions.py").read_text(encoding="utf-8"))
    editions = assigned(tree, "EDITIONS")
    assert isinstance(editions, ast.Dict)
    return tuple(ast.literal_eval(key) for key in editions.keys if key is not None)


def _folders(tree: ast.Module, path: Path) -> Any:
    """Return the constant FOLDER of a data set's module, or None."""
    value = assigned(tree, "FOLDER")
    try:
        return None if value is None else ast.literal_eval(value)
    except ValueError as error:
        raise DmixError(
            f"{path}: FOLDER is computed, and read without running the module",
            'write the folder itself, or {"name of an entry": "its folder"}',
        ) from error


class _Class(NamedTuple):
    name: str
    methods: tuple[str, ...]


def _family(name: str, tree: ast.Module) -> Iterator[_Class]:
    """Yield the class `name` of a module and all its bases that dmix defines."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            yield _Class(name, tuple(item.name for item in node.body if isinstance(item, ast.FunctionDef)))
            for base in node.bases:
                if isinstance(base, ast.Name):
                    yield from _family(base.id, tree)
        elif isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            path = PACKAGE.parent.joinpath(*(node.module or "").split(".")).with_suffix(".py")
            if path.is_file():
                yield from _family_in(path, name)


@cache
def _family_in(path: Path, name: str) -> tuple[_Class, ...]:
    """As `_family`, of a module by its file, whose classes many parts inherit from."""
    return tuple(_family(name, ast.parse(path.read_text(encoding="utf-8"), str(path))))


def _constants(tree: ast.Module) -> dict[str, str]:
    """Return name -> value of a module's string constants."""
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }


Argument = tuple[ast.expr, ast.expr | None]


def _keyword_only(node: ast.FunctionDef | ast.ClassDef, path: Path) -> dict[str, Argument]:
    """Return name -> (annotation, default) of the keyword-only parameters of a function or class."""
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
    """Evaluate a setting's annotation, which may contain only the names in `_NAMES`."""
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
