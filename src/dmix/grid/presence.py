"""What a run needs from outside of the repository, where it lies, and whether it is on this machine.

Only looks whether a file or folder is there, because the workflow asks for every run before it starts; the
loaders check what is in it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from dmix.data_items import Item
from dmix.grid.parts import embedded_editions, read_part
from dmix.grid.paths import DATA
from dmix.grid.schema import DatasetEntry
from dmix.grid.spec import RunSpec

LABEL_LISTS = "label_lists"  # the item that the labels `published` read


def facts(name: str, entry: DatasetEntry) -> dict[str, Any]:
    """Return the settings of a data set's entry, with the folder that follows from its name or its part."""
    part = read_part("dataset", entry.use or name)
    if part is None or "folder" not in part.model.model_fields:
        return dict(entry.settings)
    return {"folder": part.folder(name), **entry.settings}


def own_sets(datasets: Mapping[str, DatasetEntry], items: Mapping[str, Item]) -> Mapping[str, Item]:
    """Return an item without files for each data set of `params.yaml` that `items` has no source of."""
    found = {}
    for name, entry in datasets.items():
        part = read_part("dataset", entry.use or name)
        if name not in items and part is not None:
            folder = facts(name, entry).get("folder", part.folder(name))
            found[name] = Item(name, "data", PurePosixPath(folder), ())
    return found


def with_edition(datasets: Mapping[str, DatasetEntry]) -> tuple[str, ...]:
    """Return the data sets with an embedded edition: its sizes in `params.yaml`, and code that writes it."""
    return tuple(name for name in embedded_editions() if name in datasets and datasets[name].embedded)


def way_to_get(spec: RunSpec, items: Mapping[str, Item], embedded: Collection[str]) -> str | None:
    """Return how to get what `spec` lacks of data, published label lists and weights, or None.

    What `items` does not know is taken to be there. Embedded editions are written when a workflow starts, so
    those of `embedded` are never missing, and all others never there.
    """
    dataset, edition = spec.axes["dataset"], spec.settings["dataset"].get("edition")
    if edition == "embedded" and dataset not in embedded:
        return f"{dataset} has no embedded edition: train it at tier full, or give its entry edition: real"
    wanted = [dataset] if edition == "real" else []
    if spec.settings.get("labels", {}).get("use") == "published":
        wanted.append(LABEL_LISTS)
    for name in wanted:
        item = items.get(name)
        if item is not None and not item.present(DATA):
            return item.way_out(DATA)
    init = spec.settings["recipe"]["init"]
    if init.startswith("weights/") and not (DATA / "real" / init).exists():
        known = (f"run {item.command}" for item in items.values() if str(item.path) == init)
        return next(known, f"put {Path(init).name} into {DATA / 'real' / 'weights'}")
    return None
