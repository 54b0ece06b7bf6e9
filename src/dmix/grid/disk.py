"""Predicts the disk that runs need: data, weights, and checkpoints of those that train at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dmix.data_items import Item, read_sources
from dmix.grid.cost import Cost
from dmix.grid.expand import Grid
from dmix.grid.presence import LABEL_LISTS

GB = 1e9
MIB = 2**20


@dataclass(frozen=True)
class Disk:
    """Disk in GB (1e9 bytes).

    Attributes
    ----------
    weights_gb: of all runs when they are finished.
    checkpoints_gb: of the largest that can be there at once. A checkpoint goes when its run is finished.
    unknown: number of runs whose weights are in neither, because nothing is known of their size.
    data_gb: data set or file of weights -> size as published, which is about that on the disk. Sizes that the
        publisher does not say are left out.
    """

    weights_gb: float
    checkpoints_gb: float
    unknown: int
    data_gb: Mapping[str, float]

    @property
    def total_gb(self) -> float:
        """All of it."""
        return self.weights_gb + self.checkpoints_gb + sum(self.data_gb.values())


def disk_of(grid: Grid, costs: Mapping[str, Cost], unfinished: Iterable[str], gpus: int) -> Disk:
    """Return the disk for some runs of the grid.

    Parameters
    ----------
    costs: of these runs. unfinished: those that have no record yet. gpus: how many train at once.
    """
    weights = [cost.weights_mb for cost in costs.values()]
    checkpoints = sorted((costs[name].checkpoint_mb or 0.0 for name in unfinished), reverse=True)
    return Disk(
        weights_gb=sum(size for size in weights if size) * MIB / GB,
        checkpoints_gb=sum(checkpoints[:gpus]) * MIB / GB,
        unknown=sum(1 for size in weights if not size),
        data_gb=_data(grid, costs),
    )


def _data(grid: Grid, names: Iterable[str]) -> dict[str, float]:
    items = read_sources()
    of_path = {str(item.path): item for item in items.values()}
    wanted: dict[str, Item] = {}
    for name in names:
        settings = grid.runs[name].settings
        if settings["dataset"].get("edition") != "real":
            continue
        dataset = grid.runs[name].axes["dataset"]
        found = [items.get(dataset), of_path.get(settings["recipe"]["init"])]
        if settings["labels"].get("use") == "published":
            found.append(items.get(LABEL_LISTS))
        wanted |= {item.name: item for item in found if item is not None}
    sizes = {name: _bytes(item) / GB for name, item in wanted.items()}
    return {name: size for name, size in sizes.items() if size}


def _bytes(item: Item) -> int:
    """Return the bytes of the item's first published form."""
    return next((sum(file.bytes or 0 for file in files) for files in item.forms.values()), 0)
