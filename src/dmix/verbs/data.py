"""`dmix data`: writes, downloads, imports and checks data sets and weights."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from dmix.cores import job_cores
from dmix.data_items import Item, read_sources
from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.grid.paths import DATA
from dmix.grid.presence import facts, own_sets
from dmix.verbs.common import tell

if TYPE_CHECKING:
    from dmix.data.sets.dataset import Dataset


def embed(options: argparse.Namespace) -> int:
    """Write embedded editions."""
    from dmix.data.embedded import editions

    for path in editions.embed(DATA, options.names or None):
        print(path)
    return 0


def fetch(options: argparse.Namespace) -> int:
    """Download data sets and weights."""
    items = _items(options.names)
    from dmix.data.obtain import fetch as obtain

    return _each(items, lambda item: obtain.fetch(item, DATA, _loader(item, "real"), tell))


def bring(options: argparse.Namespace) -> int:
    """Import a data set or weights from local files."""
    (item,) = _items([options.name])
    from dmix.data.obtain.import_item import import_item

    import_item(item, options.path, DATA, _loader(item, "real"), tell)
    return 0


def verify(options: argparse.Namespace) -> int:
    """Decode every image of data sets, and check weights."""
    items = _items(options.names)
    from dmix.data.obtain import verify as check

    def verify_item(item: Item) -> None:
        load = _loader(item, options.edition)
        if load is None:
            print(check.verify_files(item, DATA))
        else:
            folder = DATA / options.edition / item.path
            print(check.verify(item.name, folder, functools.partial(load, DATA), job_cores()))

    return _each(items, verify_item)


def _items(names: Iterable[str]) -> list[Item]:
    """Return the named items, each once; known are reference/datasets.csv and the section `datasets`."""
    known = dict(read_sources())
    if not known.keys() >= set(names):
        known |= own_sets(load_grid("full").params.datasets, known)
    for name in names:
        if name not in known:
            raise DmixError(f"there is no item {name!r} to get", f"choose of {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)]


def _each(items: Iterable[Item], do: Callable[[Item], None]) -> int:
    """Apply `do` to every item, also after failures; return the worst exit status."""
    status = 0
    for item in items:
        try:
            do(item)
        except DmixError as error:
            print(f"dmix: {error}", file=sys.stderr)
            status = max(status, error.exit_code)
    return status


def _loader(item: Item, edition: str) -> Callable[[Path], Dataset] | None:
    """Return a function from the folder of editions to a data set; None if `item` is no data set.

    Settings come from the parameter files, sizes of an embedded edition from its marker file.
    """
    if item.kind != "data":
        return None
    entry = load_grid("full").params.datasets.get(item.name)
    if entry is None:
        raise DmixError(f"params.yaml has no datasets.{item.name}, which has its sizes", "add the entry")
    from dmix.data.sets import marker
    from dmix.engine.parts import load_part

    values = {"use": entry.use or item.name, **facts(item.name, entry), "edition": edition}
    if edition == "embedded":
        found = marker.read(DATA / edition / item.path)
        values |= {"classes": found.classes, "train_size": found.train, "test_size": found.test}
    return functools.partial(load_part, "dataset", values)
