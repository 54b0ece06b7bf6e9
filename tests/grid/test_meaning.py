"""The code digest leaves out what cannot change a number, and nothing else."""

from __future__ import annotations

import textwrap

import pytest

from dmix.grid.meaning import meaning

MODULE = '''
"""A module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Gt

from dmix.errors import DmixError
from dmix.part import part

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Mixer", "scale"]

HALF: float = 0.5


@dataclass(frozen=True)
class Box:
    """A box."""

    width: int
    height: int = 3
    """Its height."""
    sides: ClassVar[int] = 4


@part
class Mixer:
    """Mixes."""

    def __init__(self, *, alpha: Annotated[float, Gt(0)], hard: bool = False) -> None:
        self.alpha = alpha
        self.rows: list[int] = []

    def mix(self, images: Iterable[int], names: Mapping[str, int]) -> int:
        """Return a number."""
        total: int = 0
        if not names:
            raise DmixError(f"no names in {images}", "give some")
        if self.alpha < 0:
            raise ValueError(f"alpha is {self.alpha}, not above 0")
        return total + np.sum(list(images))


def scale(value: float) -> float:
    raise fault("the value is wrong", value, code=1)
'''

NOTHING = [
    ("a comment", "HALF: float = 0.5", "HALF: float = 0.5  # of the width"),
    ("formatting", "total: int = 0", "total: int = (0)"),
    ("a docstring", '"""Mixes."""', '"""Mixes two."""'),
    ("a text below a field", '"""Its height."""', '"""Its height in pixels."""'),
    ("an argument's annotation", "images: Iterable[int]", "images: list[int]"),
    ("a quoted annotation", "images: Iterable[int]", 'images: "Iterable[int]"'),
    ("what a function returns", '-> int:\n        """Return', '-> float:\n        """Return'),
    ("a variable's annotation", "total: int = 0", "total = 0"),
    ("an attribute's annotation", "self.rows: list[int] = []", "self.rows = []"),
    ("a constant's annotation", "HALF: float = 0.5", "HALF = 0.5"),
    ("a field's type", "width: int", "width: float"),
    ("a setting's quotes", "alpha: Annotated[float, Gt(0)]", 'alpha: "Annotated[float, Gt(0)]"'),
    ("__all__", '"Mixer", "scale"', '"Mixer"'),
    ("an unused import", "import Iterable, Mapping", "import Callable, Iterable, Mapping"),
    ("an import for types", "from torch import Tensor", "from torch import Tensor, nn"),
    ("an error's text", "no names in {images}", "there are no names in {images}"),
    ("an error's way out", '"give some"', 'f"give {self.alpha}"'),
    ("the text of another error", "alpha is {self.alpha}, not", "alpha was {self.alpha}, not"),
    ("a text given to what makes an error", '"the value is wrong"', 'f"{value} is wrong"'),
]
SOMETHING = [
    ("a constant", "HALF: float = 0.5", "HALF: float = 0.25"),
    ("a default", "hard: bool = False", "hard: bool = True"),
    ("a setting's range", "Gt(0)", "Gt(1)"),
    ("a setting's type", "hard: bool", "hard: int"),
    ("a field's default", "height: int = 3", "height: int = 4"),
    ("a new field", "width: int\n", "width: int\n    depth: int\n"),
    ("no field any more", "ClassVar[int]", "int"),
    ("an argument's name", "names: Mapping", "titles: Mapping"),
    ("the order of arguments", "images: Iterable[int], names: Mapping[str, int]", "names, images"),
    ("a condition", "if not names", "if names"),
    ("another error", "raise ValueError(", "raise KeyError("),
    ("an error's number", "value, code=1", "value, code=2"),
    ("what is called", "np.sum", "np.prod"),
    ("the name behind an import", "import numpy as np", "import torch as np"),
    ("a mark", "@part\n", ""),
]


@pytest.mark.parametrize(("old", "new"), [case[1:] for case in NOTHING], ids=[case[0] for case in NOTHING])
def test_this_changes_nothing(old, new):
    assert MODULE.count(old) == 1
    assert meaning(MODULE.replace(old, new)) == meaning(MODULE)


@pytest.mark.parametrize(
    ("old", "new"), [case[1:] for case in SOMETHING], ids=[case[0] for case in SOMETHING]
)
def test_this_changes_something(old, new):
    assert MODULE.count(old) == 1
    assert meaning(MODULE.replace(old, new)) != meaning(MODULE)


@pytest.mark.parametrize(
    "reader",
    [
        "from pydantic import BaseModel",
        "import pydantic",
        "from typing import get_type_hints",
        "hints = Box.__annotations__",
    ],
)
def test_annotations_of_fields_count_where_they_are_read(reader):
    source = f"{reader}\nclass Box(BaseModel):\n    width: int\n    hints = get_type_hints\n"
    assert meaning(source) != meaning(source.replace(": int", ": float"))
    assert meaning(source) == meaning(source.replace(": int", ": 'int'"))


def test_an_exit_code_counts_and_what_an_error_is_told_does_not():
    source = "def f(x):\n    return DmixError(x, exit_code=1)\n"
    assert meaning(source) == meaning(source.replace("(x,", "(str(x), 'way out',"))
    assert meaning(source) != meaning(source.replace("=1", "=2"))


def test_a_package_hands_on_what_it_imports():
    source = "from dmix.a import b\n"
    assert meaning(source, "__init__.py") != meaning("", "__init__.py")
    assert meaning(source, "module.py") == meaning("", "module.py")


def test_a_string_that_is_no_docstring_counts():
    source = textwrap.dedent("""
        def f():
            return "a"
    """)
    assert meaning(source) != meaning(source.replace('"a"', '"b"'))
