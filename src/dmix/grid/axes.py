"""The axes of the grid: the section of the parameters that each chooses from, and its heading in tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dmix.grid.spec import SECTIONS

METHOD, POLICY, OBJECTIVE, ADDON, RECIPE = "method", "policy", "objective", "addon", "recipe"


@dataclass(frozen=True)
class Axis:
    """The section of the parameters with the entries of an axis, and the heading above their titles."""

    section: str
    heading: str


AXIS: Mapping[str, Axis] = {
    METHOD: Axis("methods", "Method"),
    "dataset": Axis("datasets", "Data set"),
    "backbone": Axis("backbones", "Backbone"),
    POLICY: Axis("policies", "Policy"),
    OBJECTIVE: Axis("objectives", "Objective"),
    ADDON: Axis("addons", "Add-on"),
    RECIPE: Axis("recipes", "Recipe"),
}


def is_setting(level: str) -> bool:
    """Return whether `level` is written as a setting, such as objective.eta; the key is not checked."""
    section, _, key = level.partition(".")
    return section in SECTIONS and bool(key)
