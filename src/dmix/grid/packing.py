"""Read from a profile's settings how many runs share one device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dmix.devices.find import find_devices
from dmix.devices.memory import kinds
from dmix.devices.server import MOST_PACKED, Server
from dmix.errors import DmixError
from dmix.grid.expand import Grid
from dmix.grid.gpus import Kind
from dmix.grid.packing_measured import Measured

FILE = "settings.yaml of the profile"
MEASURED = "measured"


def read_server(
    settings: Mapping[str, Any], grid: Grid, cores: int, tell: Callable[[str], None]
) -> Server | None:
    """Return the server of the settings `devices` and `packing` of a profile, or None if it names no devices.

    Parameters
    ----------
    cores: that all runs together may use. tell: is called with a line on what measurements
        decided, if any did.

    Raises
    ------
    DmixError: a device that is not there, a recipe that does not exist, or a number out of 1..64.
    """
    wanted = settings.get("devices")
    if wanted is None:
        return None
    listed = wanted if isinstance(wanted, list | tuple) else [wanted]
    devices = find_devices(",".join(map(str, listed)))
    packed = packing(settings.get("packing") or {}, grid, lambda: kinds(devices), tell)
    return Server(devices, packed, cores)


def packing(
    wanted: Any, grid: Grid, here: Callable[[], Sequence[Kind]], tell: Callable[[str], None]
) -> dict[str, int]:
    """Return how many runs like it share a device, for each run that shares one.

    Parameters
    ----------
    wanted: recipe -> that number or "measured", or "measured" for all recipes, as read from YAML.
    here: returns the kinds of devices that runs get, at least one; called where measurements decide.
    tell: is called with a line on what these decided.

    Raises
    ------
    DmixError: it is neither, or names a recipe that does not exist or a number out of 1..64.
    """
    recipes = grid.params.recipes
    by_recipe = dict.fromkeys(recipes, MEASURED) if wanted == MEASURED else wanted
    if not isinstance(by_recipe, Mapping):
        raise DmixError(
            f"packing in {FILE} is {by_recipe!r}",
            f"write `packing: {MEASURED}`, or a number for each recipe: `packing: {{cifar: 2}}`",
        )
    for recipe, count in by_recipe.items():
        if recipe not in recipes:
            raise DmixError(
                f"packing in {FILE} names no recipe: {recipe}", f"choose of {', '.join(sorted(recipes))}"
            )
        if count != MEASURED and (type(count) is not int or not 1 <= count <= MOST_PACKED):
            raise DmixError(
                f"packing in {FILE}: {recipe} is {count!r}",
                f"give a number in 1..{MOST_PACKED}, or {MEASURED}",
            )
    numbers = {recipe: count for recipe, count in by_recipe.items() if isinstance(count, int)}
    counts = {name: numbers.get(cell.recipe, 1) for name, cell in grid.cells.items()}
    by_measure = [n for n, cell in grid.cells.items() if by_recipe.get(cell.recipe) == MEASURED]
    if by_measure:
        measured = Measured(grid, here())
        counts |= {name: measured[name].together for name in by_measure}
        tell(measured.told([recipe for recipe, count in by_recipe.items() if count == MEASURED]))
    return {name: count for name, count in counts.items() if count > 1}
