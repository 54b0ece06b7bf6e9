"""Read from a profile's settings how many runs share one device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dmix.devices.find import find_devices
from dmix.devices.server import MOST_PACKED, Server
from dmix.errors import DmixError
from dmix.grid.expand import Grid

FILE = "settings.yaml of the profile"


def read_server(settings: Mapping[str, Any], grid: Grid, cores: int) -> Server | None:
    """Return the server of the settings `devices` and `packing` of a profile, or None if it names no devices.

    Parameters
    ----------
    cores: that all runs together may use.

    Raises
    ------
    DmixError: a device that is not there, a recipe that does not exist, or a number out of 1..64.
    """
    wanted = settings.get("devices")
    if wanted is None:
        return None
    listed = wanted if isinstance(wanted, list | tuple) else [wanted]
    devices = find_devices(",".join(map(str, listed)))
    return Server(devices, packing(settings.get("packing") or {}, grid), cores)


def packing(by_recipe: Any, grid: Grid) -> dict[str, int]:
    """Return how many runs like it share a device, for each run that shares one.

    Parameters
    ----------
    by_recipe: recipe -> that number, as read from YAML.

    Raises
    ------
    DmixError: it is no mapping, or names a recipe that does not exist or a number out of 1..64.
    """
    recipes = grid.params.recipes
    if not isinstance(by_recipe, Mapping):
        raise DmixError(
            f"packing in {FILE} is {by_recipe!r}", "write `packing: {cifar: 2}`, a number for each recipe"
        )
    for recipe, count in by_recipe.items():
        if recipe not in recipes:
            raise DmixError(
                f"packing in {FILE} names no recipe: {recipe}", f"choose of {', '.join(sorted(recipes))}"
            )
        if type(count) is not int or not 1 <= count <= MOST_PACKED:
            raise DmixError(f"packing in {FILE}: {recipe} is {count!r}", f"give a number in 1..{MOST_PACKED}")
    counts = {name: by_recipe.get(cell.recipe, 1) for name, cell in grid.cells.items()}
    return {name: count for name, count in counts.items() if count > 1}
