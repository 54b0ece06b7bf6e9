"""Every setting of every part is documented: named in the docstring of the part or of its module.

A docstring may also send the reader to another class or function of the module, or part of the section, in
backticks; then what that one says counts too.
"""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

from dmix.grid.parts import ROOMS, read_part
from every_part import uses

PARTS = [pytest.param(section, use, id=f"{section}-{use}") for section in ROOMS for use in uses(section)]


def described(section, use, follow=True):
    """What the docstrings say of a part."""
    part = read_part(section, use)
    module = importlib.import_module(part.module)
    text = f"{module.__doc__}\n{inspect.getdoc(getattr(module, part.attribute))}"
    if not follow:
        return text
    named = re.findall(r"`([\w.]+)`", text)
    others = (described(section, name, follow=False) for name in named if name in uses(section))
    objects = (
        inspect.getdoc(found) or "" for name in named if callable(found := getattr(module, name, None))
    )
    return "\n".join((text, *others, *objects))


@pytest.mark.parametrize(("section", "use"), PARTS)
def test_every_setting_is_documented(section, use):
    text = described(section, use)
    missing = [
        name for name in read_part(section, use).model.model_fields if not re.search(rf"\b{name}\b", text)
    ]
    assert missing == []
