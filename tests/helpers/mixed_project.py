"""The small grids with a run without mixing, and figures of the accuracy on mixed images."""

from __future__ import annotations

import yaml

from project import small_params

RUN = "supervised/cifar10/resnet18/{}/{}/s0"
CUTMIX, MIXUP, VANILLA = (
    RUN.format("cutmix", "dm_ce"),
    RUN.format("mixup", "mce"),
    RUN.format("vanilla", "ce"),
)
FIGURES = {
    "figure2_left": {"use": "mixed_policies"},
    "figure6": {"use": "mixed_objectives"},
    "sweep": {"use": "mixed_sweep", "measure": "top1"},
}


def params():
    """The small grids, with a run without mixing, and the figures of mixed accuracy of one of them."""
    found = yaml.safe_load(small_params())
    found["grids"]["cifar10"]["vanilla"] = "ce"
    common = {"number": "0", "title": "t", "grids": ["cifar10"], "reads": "mixed"}
    found["figures"] = {name: {**common, **entry} for name, entry in FIGURES.items()}
    found["figures"]["sweep"]["where"] = {"policy": "cutmix"}
    return yaml.safe_dump(found, sort_keys=False)
