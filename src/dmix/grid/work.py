"""Computes the work of a run: images, forward passes and operations."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dmix.grid.expand import Grid
from dmix.grid.spec import RunSpec


def tflop(grid: Grid, spec: RunSpec) -> float:
    """Return the TFLOP of a run: images x passes x operations of a forward pass."""
    return images(spec) * tflop_per_image(grid, spec)


def tflop_per_image(grid: Grid, spec: RunSpec) -> float:
    """Return the TFLOP for each (labelled) image of a batch."""
    known = grid.params.backbones[spec.axes["backbone"]].forward_gflop
    return passes(grid, spec) * forward_gflop(known, image_side(spec)) / 1000


def images(spec: RunSpec) -> float:
    """Return how many (labelled) images a run sees."""
    recipe = spec.settings["recipe"]
    per_epoch = spec.settings["dataset"]["train_size"] * _share(spec)
    return float(recipe["steps"] * recipe["batch_size"] or recipe["epochs"] * per_epoch)


def _share(spec: RunSpec) -> float:
    """Return the share of the training images that make an epoch."""
    return float(spec.settings["labels"].get("percent", 100)) / 100 if spec.settings["labels"] else 1.0


def passes(grid: Grid, spec: RunSpec) -> float:
    """Return the cost of a step in forward passes of its (labelled) batch."""
    if spec.task == "supervised":
        return grid.params.policies[spec.axes["policy"]].passes
    method = grid.params.methods[spec.axes["method"]]
    return method.passes + (method.addon_passes if spec.settings["addon"] else 0)


def image_side(spec: RunSpec) -> int:
    """Return the side in pixels of the images that a run trains on."""
    return int(spec.settings["augment"].get("size") or spec.settings["dataset"]["image_size"])


def forward_gflop(known: Mapping[int, float], side: int) -> float:
    """Return the GFLOP of a forward pass at `side` pixels, scaled by area from the nearest known side."""
    nearest = min(known, key=lambda other: abs(math.log(other / side)))
    return known[nearest] * (side / nearest) ** 2
