"""Marks a part: the one callable of a module that `params.yaml` can name.

A part (a policy, an objective, a backbone, a data set format, an augmentation, an optimiser, a schedule,
a method) is one module with one callable decorated by `part`. Its keyword-only parameters are its settings;
`params.yaml` is checked against their types and ranges. A default is the setting's *neutral* value: it
changes nothing, and is left out of a run's digest. `dmix.grid.parts` reads all this from the source, without
importing torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Part = TypeVar("Part", bound=Callable[..., Any])


def part(target: Part) -> Part:
    """Mark `target` as its module's part, and return it unchanged."""
    return target
