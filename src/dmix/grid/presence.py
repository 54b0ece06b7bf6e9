"""What a run needs from outside of the repository, and whether it is on this machine.

Only looks whether a file or folder is there, because the workflow asks for every run before it starts; the
loaders check what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dmix.data_items import Item
from dmix.grid.paths import DATA
from dmix.grid.spec import RunSpec

LABEL_LISTS = "label_lists"  # the item that the labels `published` read


def way_to_get(spec: RunSpec, items: Mapping[str, Item]) -> str | None:
    """Return how to get what `spec` lacks of genuine data, published label lists and weights, or None.

    What `items` does not know is taken to be there. Embedded editions are made when a workflow starts.
    """
    wanted = [spec.axes["dataset"]] if spec.settings["dataset"].get("edition") == "real" else []
    if spec.settings.get("labels", {}).get("use") == "published":
        wanted.append(LABEL_LISTS)
    for name in wanted:
        item = items.get(name)
        if item is not None and not item.present(DATA):
            return f"run {item.command}"
    init = spec.settings["recipe"]["init"]
    if init.startswith("weights/") and not (DATA / "real" / init).exists():
        known = (f"run {item.command}" for item in items.values() if str(item.path) == init)
        return next(known, f"put {Path(init).name} into {DATA / 'real' / 'weights'}")
    return None
