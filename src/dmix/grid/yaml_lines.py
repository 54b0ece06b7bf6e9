"""Reads YAML with the file and line of every key, for error messages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from dmix.errors import DmixError

KeyPath = tuple[str | int, ...]


class Place(NamedTuple):
    """A file and a 1-based line."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True)
class Document:
    """Data of one or several YAML files, with the place of each key path; `path` is the first file."""

    path: Path
    data: dict[str, Any]
    places: dict[KeyPath, Place]

    def where(self, *key: str | int) -> str:
        """Return "file:line: dotted.key" for the deepest part of `key` that the files contain."""
        for end in range(len(key), 0, -1):
            if key[:end] in self.places:
                return f"{self.places[key[:end]]}: {'.'.join(map(str, key))}"
        return f"{self.path}: {'.'.join(map(str, key))}"


def load(path: Path) -> Document:
    """Read the file `path`, without its includes (see `dmix.grid.includes`).

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
        places: dict[KeyPath, Place] = {}
        data = _plain(loader, path, root, (), places)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise DmixError(f"{path}:{line}: not valid YAML: {error.problem}") from error
    finally:
        loader.dispose()
    return Document(path, data, places)


def _plain(loader: Any, path: Path, node: yaml.Node, key: KeyPath, places: dict[KeyPath, Place]) -> Any:
    places.setdefault(key, Place(path, node.start_mark.line + 1))
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            name = str(loader.construct_object(key_node))
            place = Place(path, key_node.start_mark.line + 1)
            if name in result:
                dotted = ".".join(map(str, (*key, name)))
                raise DmixError(f"{place}: {dotted}: this key is given twice")
            places[(*key, name)] = place
            result[name] = _plain(loader, path, value_node, (*key, name), places)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(loader, path, item, (*key, i), places) for i, item in enumerate(node.value)]
    return loader.construct_object(node)
