"""What `run.sh` knows of dmix: which runs to start, and what their records must say."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from dmix.grid.expand import load_grid
from dmix.record import read_record

TIER = "smoke"
LONG = "supervised/cifar10/resnet18/vanilla/ce/s0"
EPOCHS = 400  # long enough to be cancelled half-way, 15 s of one core
RUNS = 6


def lengthen() -> None:
    """Make one run of the tier long, in this folder's params.yaml."""
    file = Path("params.yaml")
    params = yaml.safe_load(file.read_text())
    _, _, dataset, _, policy, *_ = ("", *LONG.split("/"))
    params["tiers"][TIER]["overrides"].append(
        {
            "when": {"dataset": dataset, "policy": policy},
            "set": {"recipe.epochs": EPOCHS},
            "why": "to be cancelled half-way",
        }
    )
    file.write_text(yaml.safe_dump(params, sort_keys=False))
