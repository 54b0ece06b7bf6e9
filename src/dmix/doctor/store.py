"""Findings on data sets, label lists and weights: which are there, and the command that gets the others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dmix.data.embedded import editions as embedded
from dmix.data.sets import marker
from dmix.data_items import Item, read_sources
from dmix.doctor.finding import Finding
from dmix.errors import DmixError
from dmix.grid.presence import own_sets
from dmix.grid.schema import validate
from dmix.grid.yaml_lines import load

GROUPS = {
    "data": "genuine data",
    "lists": "published lists of labelled images",
    "weights": "pretrained weights",
}


def store(data: Path) -> Iterator[Finding]:
    """Yield findings on everything that belongs below `data`, the folder that holds the editions."""
    for name, edition in embedded.EDITIONS.items():
        yield _edition(name, data / "embedded" / edition.folder)
    try:
        items = read_sources()
    except DmixError as error:
        yield Finding("genuine data", "reference/datasets.csv", "broken", error.message, error.way_out)
        return
    for item in (*items.values(), *_own(items)):
        yield _item(item, data)


def _own(items: Mapping[str, Item]) -> Iterable[Item]:
    """Return the data sets of params.yaml that nobody publishes; none where that file is broken.

    What is wrong with it is a finding of `machine`.
    """
    try:
        datasets = validate(load(Path("params.yaml"))).datasets
    except DmixError:
        return ()
    return own_sets(datasets, items).values()


def _edition(name: str, folder: Path) -> Finding:
    """Return whether an embedded edition is complete; the workflow writes others before its first job."""
    group, command = "embedded data (ships with dmix)", "dmix data embed"
    if not folder.exists():
        return Finding(group, name, "missing", "written when it is needed, or by", command)
    try:
        version = marker.check(folder).version
    except DmixError as error:
        return Finding(group, name, "missing", f"{error.message}; written anew by", command)
    if version != embedded.VERSION:
        return Finding(group, name, "missing", f"{folder} is of an older dmix; written anew by", command)
    return Finding(group, name, "ok", str(folder))


def _item(item: Item, data: Path) -> Finding:
    group = GROUPS[item.kind]
    target = item.target(data)
    if item.present(data):
        link = f" -> {target.readlink()}" if target.is_symlink() else ""
        return Finding(group, item.name, "ok", f"{target}{link}")
    if os.path.lexists(target):
        detail = f"{target} is a link to {target.readlink()}, which is gone; remove it, then"
        return Finding(group, item.name, "missing", detail, item.command)
    own = "" if item.files else f"put it at {target}, or"
    return Finding(group, item.name, "missing", own, item.command)
