"""Predicts the time of a run: the mean of similar finished runs of the tier, else an estimate."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from statistics import mean

from dmix.grid.expand import Grid
from dmix.grid.finished import Outcome, finished_runs
from dmix.grid.spec import RunSpec

# Sustained rate of ordinary training of small networks on one A100; see docs/reproduce.md.
ASSUMED_TFLOPS = 20.0

Like = tuple[str, str, str, str, int]


def measured_seconds(grid: Grid, done: Mapping[str, Outcome] | None = None) -> Mapping[Like, float]:
    """Return the mean seconds of finished runs by method, data set, backbone, policy and length.

    Parameters
    ----------
    done: what is known of the finished runs, by default looked up.
    """
    seen: dict[Like, list[float]] = defaultdict(list)
    for name, said in (finished_runs(grid.tier, grid.places) if done is None else done).items():
        if said.seconds is not None:  # else a damaged record, which `dmix plan` lists as such
            seen[_like(grid.runs[name])].append(said.seconds)
    return {like: mean(values) for like, values in seen.items()}


def estimated_seconds(grid: Grid, name: str, tflops: float = ASSUMED_TFLOPS) -> float:
    """Return the estimated seconds of a run: the tier's constant, or images x passes x operations / rate."""
    tier = grid.params.tiers[grid.tier]
    if tier.estimate_seconds is not None:
        return tier.estimate_seconds
    return computed_seconds(grid, grid.runs[name], tflops)


def computed_seconds(grid: Grid, spec: RunSpec, tflops: float = ASSUMED_TFLOPS) -> float:
    """Return images x passes x operations / rate: what tells cheap runs from dear ones at every tier."""
    recipe = spec.settings["recipe"]
    images = recipe["steps"] * recipe["batch_size"] or recipe["epochs"] * spec.settings["dataset"][
        "train_size"
    ] * _share(spec)
    passes = _passes(grid, spec)
    gflop = forward_gflop(grid.params.backbones[spec.axes["backbone"]].forward_gflop, image_side(spec))
    return float(images * passes * gflop / (tflops * 1000))


def _share(spec: RunSpec) -> float:
    """Return the share of the training images that make an epoch."""
    return float(spec.settings["labels"].get("percent", 100)) / 100 if spec.settings["labels"] else 1.0


def _passes(grid: Grid, spec: RunSpec) -> float:
    """Return the cost of a step in forward passes of its (labelled) batch."""
    if spec.task == "supervised":
        return grid.params.policies[spec.axes["policy"]].passes
    method = grid.params.methods[spec.axes["method"]]
    return method.passes + (method.addon_passes if spec.settings["addon"] else 0)


def _like(spec: RunSpec) -> Like:
    axes, recipe = spec.axes, spec.settings["recipe"]
    length = recipe["epochs"] or recipe["steps"]
    return axes["method"], axes["dataset"], axes["backbone"], axes["policy"], length


def image_side(spec: RunSpec) -> int:
    """Return the side in pixels of the images that a run trains on."""
    return int(spec.settings["augment"].get("size") or spec.settings["dataset"]["image_size"])


def forward_gflop(known: Mapping[int, float], side: int) -> float:
    """Return the GFLOP of a forward pass at `side` pixels, scaled by area from the nearest known side."""
    nearest = min(known, key=lambda other: abs(math.log(other / side)))
    return known[nearest] * (side / nearest) ** 2


def is_measured(grid: Grid, name: str, measured: Mapping[Like, float]) -> bool:
    """Return whether a similar run of the tier is finished."""
    return _like(grid.runs[name]) in measured


def seconds(grid: Grid, name: str, measured: Mapping[Like, float]) -> float:
    """Return the expected seconds of a run."""
    like = _like(grid.runs[name])
    return measured[like] if like in measured else estimated_seconds(grid, name)
