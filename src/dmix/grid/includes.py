"""Reads `params.yaml` and the files that its `include` names, and merges them into one document."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

from dmix.errors import DmixError
from dmix.grid.yaml_lines import Document, KeyPath, load

INCLUDE = "include"
RULES = "overrides"  # the one section that is an ordered list


def read_params(path: Path) -> Document:
    """Read `path` and the files that its `include` names, and merge them in that order.

    Sections that are mappings are merged entry by entry, `overrides` are concatenated. YAML aliases
    (`*name`) are local to a file.

    Raises
    ------
    DmixError: a file cannot be read; `include` names nothing, a file twice, or one outside the folder of
    `path`; an included file includes others; two files have the same entry, or one section that cannot be
    merged.
    """
    whole = load(path)
    files = included_files(whole)
    whole.data.pop(INCLUDE, None)
    for file in files:
        part = load(file)
        if INCLUDE in part.data:
            raise DmixError(
                f"{part.where(INCLUDE)}: {path.name} alone includes files", f"move the lines to {path}"
            )
        _merge(whole, part)
    return whole


def included_files(document: Document) -> list[Path]:
    """Return the files that `include` names, pattern by pattern, the files of a pattern in natural order."""
    patterns = document.data.get(INCLUDE, [])
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise DmixError(f"{document.where(INCLUDE)}: write a list of names, relative to {document.path.name}")
    found: list[Path] = []
    for index, pattern in enumerate(patterns):
        where = f"{document.where(INCLUDE, index)}: {pattern!r}"
        if PurePath(pattern).is_absolute() or ".." in PurePath(pattern).parts:
            raise DmixError(f"{where} leads out of the folder of {document.path}", "move the file into it")
        try:
            matches = [file for file in document.path.parent.glob(pattern) if file.is_file()]
        except (ValueError, OSError, NotImplementedError) as error:
            raise DmixError(
                f"{where}: {error}", "write a name in which * and ? may stand for others"
            ) from error
        if not matches:
            raise DmixError(f"{where} matches no file", "correct the name, or remove it from the list")
        for file in sorted(matches, key=lambda file: natural(str(file))):
            if file in (document.path, *found):
                raise DmixError(f"{where} includes {file} again", "let one name of the list match it")
            found.append(file)
    return found


def natural(text: str) -> list[str | int]:
    """Return a sort key that counts: "table2" before "table10", and both before "tableS1"."""
    return [int(piece) if piece.isdecimal() else piece for piece in re.split(r"(\d+)", text)]


def _merge(whole: Document, part: Document) -> None:
    """Add a file to the document read so far; items of a list take the next free indices."""
    for section, value in part.data.items():
        mine = whole.data.get(section)
        first = 0
        if section not in whole.data:
            whole.data[section] = value
        elif isinstance(mine, dict) and isinstance(value, dict):
            for name in value:
                if name in mine:
                    raise DmixError(
                        f"{part.where(section, name)}: this entry is given twice, first in "
                        f"{whole.places[section, name]}"
                    )
            mine.update(value)
        elif section == RULES and isinstance(mine, list) and isinstance(value, list):
            first = len(mine)
            mine.extend(value)
        else:
            raise DmixError(
                f"{part.where(section)}: this section is given twice, first in {whole.places[(section,)]}; "
                f"files can share sections of entries, and {RULES}, alone"
            )
        for key, place in part.places.items():
            if key[:1] == (section,):
                whole.places.setdefault(_moved(key, first), place)


def _moved(key: KeyPath, first: int) -> KeyPath:
    """Return a key path whose list index is shifted by `first`; paths without one are returned unchanged."""
    if len(key) < 2 or not isinstance(key[1], int):
        return key
    return (key[0], key[1] + first, *key[2:])
