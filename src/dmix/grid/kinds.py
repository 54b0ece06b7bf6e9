"""Kinds of evaluations of finished weights, read from the source of src/dmix/evaluations.

Each module there is a kind (docs/evaluations.md). As parts are, it is read without importing torch. This
module imports nothing slow, because the command line has an option for each kind.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dmix import PACKAGE
from dmix.errors import DmixError
from dmix.grid.constants import assigned

ROOM = "evaluations"


@dataclass(frozen=True)
class Kind:
    """A kind of evaluation, as its module describes it.

    Attributes
    ----------
    name: of the module; also of the option of `dmix evaluate`, the folder of the results and each result.
    title: first line of the module's docstring.
    takes: the constant TAKES: "task" or a setting (section.key) -> its values in the runs that it takes.
    code: the constant CODE: modules whose code counts although it may be in no run's own code, such as
        policies that an evaluation applies to every run; () without it.
    """

    name: str
    title: str
    takes: Mapping[str, tuple[str, ...]]
    code: tuple[str, ...]


@cache
def kinds() -> Mapping[str, Kind]:
    """Return name -> kind of every evaluation that there is.

    Raises
    ------
    DmixError: a module has no docstring or no constant TAKES, or computes a constant.
    """
    found = (path for path in sorted((PACKAGE / ROOM).glob("*.py")) if path.name != "__init__.py")
    return {path.stem: read_kind(path) for path in found}


def read_kind(path: Path) -> Kind:
    """Return the kind that a module describes; see `kinds` for the errors."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    title = (ast.get_docstring(tree) or "").partition("\n")[0]
    takes, code = assigned(tree, "TAKES"), assigned(tree, "CODE")
    if takes is None or not title:
        raise DmixError(
            f"{path}: an evaluation has a docstring and the constant TAKES, the runs that it takes",
            'write for example TAKES = {"task": ("supervised",)}',
        )
    try:
        return Kind(path.stem, title, ast.literal_eval(takes), () if code is None else ast.literal_eval(code))
    except ValueError as error:
        raise DmixError(
            f"{path}: TAKES or CODE is computed, and both are read without running the module",
            "write the values themselves",
        ) from error
