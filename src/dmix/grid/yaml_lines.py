"""Reads YAML with the file and line of every key, for error messages; the only place that reads YAML.

A file has at most 1 MiB, 20,000 nodes, 30 levels, and a few seconds to be read, so that none of them, such as
one with aliases of aliases, takes a machine with it. Numbers are decimal: 1:30 and 010 are 90 and 8 to YAML,
and whoever wrote them meant something else.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from dmix.errors import DmixError
from dmix.reading import CONTROL, read_text

KeyPath = tuple[str | int, ...]

MOST_BYTES = 2**20
MOST_NODES = 20_000
MOST_LEVELS = 30
MOST_SECONDS = 10.0

TAG = "tag:yaml.org,2002:"
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
DECIMAL = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
EXPONENT = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+")  # a text to YAML 1.1, a number to everybody else


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
    DmixError: the file is missing, is not YAML or no UTF-8 text, is not a mapping, is larger or deeper than
        the limits of this module, or has a key twice, a number that is not a finite decimal one, or a value
        that is no text, number, true, false or null.
    """
    text = read_text(path, "" if path.is_file() else "run dmix in the repository's root", MOST_BYTES)
    try:
        _measure(path, text)
        loader = yaml.CSafeLoader(text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise DmixError(f"{path}:{line}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:  # of the reader, which knows no lines
        raise DmixError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(root, yaml.MappingNode):
        raise DmixError(f"{path}: the file must be a mapping of sections")
    builder = _Builder(path)
    return Document(path, builder.plain(root, ()), builder.places)


def _measure(path: Path, text: str) -> None:
    """Refuse a text with too many nodes or levels before its tree is built, which recurses."""
    started, nodes, levels = time.monotonic(), 0, 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        levels += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        nodes += isinstance(event, yaml.NodeEvent)
        if levels > MOST_LEVELS or nodes > MOST_NODES or time.monotonic() - started > MOST_SECONDS:
            raise _too_large(Place(path, event.start_mark.line + 1 if event.start_mark else 1))


def _too_large(place: Place) -> DmixError:
    return DmixError(
        f"{place}: the file is too large or too deep: a file has at most {MOST_NODES:,} nodes (an "
        f"alias counts as what it names) and {MOST_LEVELS} levels, and is read in {MOST_SECONDS:.0f} s"
    )


class _Builder:
    """Makes plain values of nodes; `places` has the place of each key path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: dict[KeyPath, Place] = {}
        self.nodes = 0

    def plain(self, node: yaml.Node, key: KeyPath) -> Any:
        """Return the value of a node, which the key path leads to."""
        place = self._place(node)
        self.places.setdefault(key, place)
        self.nodes += 1
        # Again, because an alias may stand for many nodes, or for the node that it is in.
        if self.nodes > MOST_NODES or len(key) > MOST_LEVELS:
            raise _too_large(place)
        if isinstance(node, yaml.MappingNode) and node.tag == TAG + "map":
            return self._mapping(node, key)
        if isinstance(node, yaml.SequenceNode) and node.tag == TAG + "seq":
            return [self.plain(item, (*key, i)) for i, item in enumerate(node.value)]
        return self._scalar(node, key)

    def _mapping(self, node: yaml.MappingNode, key: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            name = self._scalar(key_node, key)
            if name is None or isinstance(name, bool):
                dotted = _dotted((*key, key_node.value))
                raise DmixError(
                    f"{place}: {dotted}: YAML reads this key as {name}, not as a text",
                    f'quote it: "{key_node.value}"',
                )
            name = str(name)
            if not name.isprintable():
                raise DmixError(
                    f"{place}: {_dotted(key)}: the key {name!r} has characters that cannot be seen"
                )
            if name in result:
                raise DmixError(f"{place}: {_dotted((*key, name))}: this key is given twice")
            self.places[(*key, name)] = place
            result[name] = self.plain(value_node, (*key, name))
        return result

    def _scalar(self, node: yaml.Node, key: KeyPath) -> str | int | float | bool | None:
        text, kind = node.value, node.tag.removeprefix(TAG)
        where = f"{self._place(node)}: {_dotted(key)}".removesuffix(": ")
        if not isinstance(node, yaml.ScalarNode) or kind not in ("str", "int", "float", "bool", "null"):
            raise DmixError(
                f"{where}: no text, number, true, false or null: it has the tag {node.tag!r}",
                "quote it, if it is a text",
            )
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in yaml.constructor.SafeConstructor.bool_values:
            return yaml.constructor.SafeConstructor.bool_values[text.lower()]
        if kind == "int" and INTEGER.fullmatch(text):
            return int(text)
        if kind == "float" or (kind == "str" and not node.style and EXPONENT.fullmatch(text)):
            value = float(text) if DECIMAL.fullmatch(text) else math.nan
            if math.isfinite(value):
                return value
        elif kind == "str":
            if found := CONTROL.search(text):
                raise DmixError(f"{where}: the text has the control character U+{ord(found[0]):04X}")
            return str(text)
        raise DmixError(
            f"{where}: {text[:40]!r} is no plain finite number of at most 18 digits before the point",
            "write a decimal number such as 90, 0.1 or 1e-3, or quote it if it is a text",
        )

    def _place(self, node: yaml.Node) -> Place:
        return Place(self.path, node.start_mark.line + 1)


def _dotted(key: KeyPath) -> str:
    return ".".join(map(str, key))
