"""YAML with the line of every key, so that an error can point at it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dmix.errors import DmixError

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """Plain data of one YAML file and the 1-based line on which each key path starts."""

    path: Path
    data: dict[str, Any]
    lines: dict[KeyPath, int]

    def where(self, *key: str | int) -> str:
        """Return "file:line: dotted.key" for the deepest part of `key` that the file contains."""
        for end in range(len(key), 0, -1):
            if key[:end] in self.lines:
                return f"{self.path}:{self.lines[key[:end]]}: {'.'.join(map(str, key))}"
        return f"{self.path}: {'.'.join(map(str, key))}"


def load(path: Path) -> Document:
    """Read `path`.

    Raises
    ------
    DmixError: the file is missing, is not YAML, is not a mapping, or has a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DmixError(
            f"cannot read {path}: {error.strerror}", "run dmix in the repository's root"
        ) from error
    loader = yaml.CSafeLoader(text)
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise DmixError(f"{path}: the file must be a mapping of sections")
        lines: dict[KeyPath, int] = {}
        data = _plain(loader, path, root, (), lines)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise DmixError(f"{path}:{line}: not valid YAML: {error.problem}") from error
    finally:
        loader.dispose()
    return Document(path, data, lines)


def _plain(loader: Any, path: Path, node: yaml.Node, key: KeyPath, lines: dict[KeyPath, int]) -> Any:
    lines.setdefault(key, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            name = str(loader.construct_object(key_node))
            if name in result:
                line = key_node.start_mark.line + 1
                dotted = ".".join(map(str, (*key, name)))
                raise DmixError(f"{path}:{line}: {dotted}: this key is given twice")
            lines[(*key, name)] = key_node.start_mark.line + 1
            result[name] = _plain(loader, path, value_node, (*key, name), lines)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(loader, path, item, (*key, i), lines) for i, item in enumerate(node.value)]
    return loader.construct_object(node)
