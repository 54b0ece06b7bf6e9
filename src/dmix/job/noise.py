"""Makes up a data set for a run whose images are not on this machine, so that its steps can be timed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dmix.data.sets.dataset import Dataset, Split
from dmix.grid.spec import RunSpec
from dmix.grid.work import image_side

IN_MEMORY = 10_000
"""Images at most of a data set that is held in memory; a step does not depend on more."""
PER_CLASS = 10
"""Images of each class where some have labels and others have none."""


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
