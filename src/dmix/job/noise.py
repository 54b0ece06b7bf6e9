"""Makes up the inputs of a run that are not on this machine, so that its steps can be timed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from dmix.data.sets.dataset import Dataset, Split
from dmix.engine.assemble import Given
from dmix.engine.parts import load_part
from dmix.grid.spec import RunSpec
from dmix.grid.work import image_side

IN_MEMORY = 10_000
"""Images at most of a data set that is held in memory; a step does not depend on more."""
PER_CLASS = 10
"""Images of each class where some have labels and others have none."""
SOURCES = 1000
"""Classes that a made-up network knew before: those of ImageNet-1k."""


def on_noise(spec: RunSpec) -> tuple[RunSpec, Dataset]:
    """Return the run on random pixels and labels, and these.

    Images that come from memory have their own size and augmentation. In place of files there are images in
    memory, of the size on which the run trains, without augmentation: decoding is then not timed.
    """
    own, batch = spec.settings["dataset"], spec.settings["recipe"]["batch_size"]
    if "image_size" in own:
        side, count = own["image_size"], min(IN_MEMORY, own["train_size"])
    else:
        side, count = image_side(spec), 2 * batch
        settings = {**spec.settings, "augment": {"use": "identity"}, "view": {"use": "unchanged"}}
        settings["dataset"] = {**own, "image_size": side}
        if spec.settings["labels"]:  # rules for files draw by their paths
            settings["labels"] = {"use": "balanced", "count": own["classes"]}
        spec = replace(spec, settings=settings)
    if spec.settings["labels"]:
        count = max(count, PER_CLASS * own["classes"])
    rng = np.random.default_rng(0)
    splits = {
        name: Split(
            rng.integers(256, size=(images, 3, side, side), dtype=np.uint8),
            np.arange(images, dtype=np.int64) % own["classes"],
        )
        for name, images in (("train", count), ("test", 2 * own["classes"]))
    }
    return spec, Dataset("noise", "embedded", own["classes"], splits)


def from_nowhere(spec: RunSpec, folder: Path) -> tuple[RunSpec, Given]:
    """Return a run that starts from another's weights, and random ones with a class relation, in `folder`.

    Only methods that are taught a class relation (Co-Tuning) need them; all others start from random weights.
    """
    if spec.relation is None:
        return spec, Given()
    given = Given(folder / "weights.safetensors", folder / "relationship.safetensors")
    assert given.weights is not None
    assert given.relation is not None
    network = load_part("backbone", spec.settings["backbone"], SOURCES)
    state = {f"model.{name}": value.contiguous() for name, value in network.state_dict().items()}
    safetensors.torch.save_file(state, given.weights)
    classes = spec.settings["dataset"]["classes"]
    matrix = torch.full((classes, SOURCES), 1 / SOURCES, dtype=torch.float64)
    safetensors.torch.save_file({"relationship": matrix}, given.relation)
    return replace(spec, source=spec), given
