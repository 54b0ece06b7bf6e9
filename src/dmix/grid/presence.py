"""Checks whether the data and weights that a run needs are on this machine.

It only looks whether files and folders exist, because the workflow asks for every run before it starts; the
loaders check their content.
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

LABEL_LISTS = "label_lists"  # the item that `labels.use: published` reads


def facts(name: str, entry: DatasetEntry) -> dict[str, Any]:
    """Return the settings of a data set's entry, with the default folder of its part if it gives none."""
    part = read_part("dataset", entry.use or name)
    if part is None or "folder" not in part.model.model_fields:
        return dict(entry.settings)
    return {"folder": part.folder(name), **entry.settings}


def own_sets(datasets: Mapping[str, DatasetEntry], items: Mapping[str, Item]) -> Mapping[str, Item]:
    """Return name -> item without archives, for each data set of the parameters that is not in `items`."""
    found = {}
    for name, entry in datasets.items():
        part = read_part("dataset", entry.use or name)
        if name not in items and part is not None:
            folder = facts(name, entry).get("folder", part.folder(name))
            found[name] = Item(name, "data", PurePosixPath(folder), ())
    return found


def with_edition(datasets: Mapping[str, DatasetEntry]) -> tuple[str, ...]:
    """Return the data sets with an embedded edition: sizes in the entry, and code to write it."""
    return tuple(name for name in embedded_editions() if name in datasets and datasets[name].embedded)


Needs = tuple[str, str | None, str | None, str]
"""Data set, edition, rule of labels and initial weights: runs with equal ones need the same files."""


def needs(spec: RunSpec) -> Needs:
    """Return what decides which files a run needs; `way_to_get` looks at nothing else."""
    settings = spec.settings
    edition, labels = settings["dataset"].get("edition"), settings.get("labels", {}).get("use")
    return spec.axes["dataset"], edition, labels, settings["recipe"]["init"]


def way_to_get(spec: RunSpec, items: Mapping[str, Item], embedded: Collection[str]) -> str | None:
    """Return how to get the data, label lists or weights that `spec` lacks, or None if all are there.

    Data sets that are not in `items` are assumed to exist. Embedded editions are written when a workflow
    starts: those in `embedded` are never missing, all others always are.
    """
    dataset, edition, labels, init = needs(spec)
    if edition == "embedded" and dataset not in embedded:
        return f"{dataset} has no embedded edition: train it at tier full, or give its entry edition: real"
    wanted = [dataset] if edition == "real" else []
    if labels == "published":
        wanted.append(LABEL_LISTS)
    for name in wanted:
        item = items.get(name)
        if item is not None and not item.present(DATA):
            return item.way_out(DATA)
    if init.startswith("weights/") and not (DATA / "real" / init).exists():
        known = (f"run {item.command}" for item in items.values() if str(item.path) == init)
        return next(known, f"put {Path(init).name} into {DATA / 'real' / 'weights'}")
    return None
