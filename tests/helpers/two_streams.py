"""Test projects of the methods that read two streams: the real params.yaml, cut down to a few grids."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from project import real_params

USELESS = re.compile(r"(tiers\.smoke\.)?overrides\.(\d+): this override")


def cut_down(grids: Mapping[str, Mapping[str, Any]], tables: list[str], folder: Path) -> dict[str, Any]:
    """Return the real params.yaml with these grids alone, some of whose entries are changed, at one tier.

    Overrides that then concern no cell are left out, which the schema demands.
    """
    params = real_params()
    params["grids"] = {name: {**params["grids"][name], **changes} for name, changes in grids.items()}
    params["tables"] = {name: params["tables"][name] for name in tables}
    params["settings_tables"], params["figures"] = {}, {}
    del params["tiers"]["smoke"]["narrow"]
    for name, tier in params["tiers"].items():
        if name != "smoke":  # others name grids that are gone
            params["tiers"][name] = {"title": tier["title"]}
    while True:
        path = folder / "params.yaml"
        path.write_text(yaml.safe_dump(params, sort_keys=False))
        try:
            load_grid("smoke", path)
        except DmixError as error:
            found = USELESS.search(error.message)
            if found is None:
                raise
            owner = params["tiers"]["smoke"] if found[1] else params
            del owner["overrides"][int(found[2])]
        else:
            path.unlink()
            return params


def transfer(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> dict[str, Any]:
    """Return all rows of Tables 6 and 8 on one data set with one share of labels, and their sources."""
    cub = {"dataset": "cub", "labels.percent": 15}
    params = cut_down(
        {
            "transfer": cub,
            "transfer_mixup": cub,
            "transfer_dm": cub,
            "strategy_bare": cub,
            "strategy_mce": cub,
            "strategy_dm": cub,
            "strategy_dm_free": cub,
            "pretraining": {"backbone": ["resnet18", "resnet50"]},
        },
        ["table6", "table8"],
        folder,
    )
    change(params)
    return params
