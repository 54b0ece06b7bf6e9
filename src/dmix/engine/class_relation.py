"""Learn the relation of source and target classes that Co-Tuning runs use (You et al., 2020)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dmix.backbones import pretrained
from dmix.backbones.backbone import Backbone
from dmix.backbones.pooled import pooled
from dmix.data.loading import feed
from dmix.data.sets.dataset import Dataset
from dmix.data.sets.subset import subset
from dmix.data.views.contract import View
from dmix.engine.evidence import Evidence, Learned
from dmix.engine.parts import load_labels, load_part
from dmix.errors import DmixError
from dmix.grid.spec import RunSpec

BATCH = 64
"""Images per forward pass; fixed, because rounding can depend on the batch size."""


def relate(
    spec: RunSpec,
    dataset: Dataset,
    device: torch.device,
    read_options: feed.ReadOptions,
    weights: Path | None,
) -> Learned:
    """Learn how the source classes of `weights` relate to the classes of `dataset`.

    The estimator reads the pre-trained network's logits of the labelled training images: centre crops of the
    evaluation view, evaluation mode. Only the network runs on `device`.

    Parameters
    ----------
    spec: of task "relation". read_options: how images on disk are read; it changes no number.
    weights: initial weights of the runs: of `spec.source` if it is set, else a published file.

    Raises
    ------
    DmixError: the weights are None, missing, damaged or of another network; an image is damaged; or the
        estimator cannot use the labelled images.
    """
    if weights is None:
        raise DmixError(
            f"{spec.name}: a network with random weights has no source classes to relate",
            "set recipe.init in params.yaml to the weights that the runs start from",
        )
    recipe, train, labels = spec.settings["recipe"], dataset.splits["train"], load_labels(spec, dataset)
    rows = np.arange(len(train)) if labels is None else labels.labelled
    model = load_part("backbone", spec.settings["backbone"], dataset.classes)
    network = source_network(model, weights, from_run=spec.source is not None)
    view = load_part("view", spec.settings["view"])
    batches = feed.evaluation(
        subset(train, rows),
        view,
        replace(read_options, cache=None),  # the images are read once
        batch_size=BATCH,
        mean=recipe["mean"],
        std=recipe["std"],
        device=device,
    )
    logits = source_logits(network.to(device), view, batches)
    evidence = Evidence(logits, torch.from_numpy(train.labels[rows]), dataset.classes, dataset, rows)
    learned: Learned = load_part("relation", spec.settings["relation"], evidence)
    return learned


def source_network(model: Backbone, weights: Path, *, from_run: bool) -> nn.Sequential:
    """Return the pre-trained network, images (N, 3, H, W) to logits (N, S); it shares the body of `model`.

    Raises
    ------
    DmixError: the file is missing or damaged, or belongs to another network.
    """
    load: Callable[[Backbone, Path], None] = pretrained.load_run if from_run else pretrained.load_published
    load(model, weights)
    encoder, _ = pooled(model)
    return nn.Sequential(encoder, pretrained.source_classifier(model, weights, from_run=from_run))


@torch.no_grad()
def source_logits(network: nn.Module, view: View, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the network's logits (N, S) of centre crops in evaluation mode, float32 on the host."""
    network.eval()
    # All runs share this result, so it must not depend on which algorithm cuDNN finds fastest.
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        found = [network(_centre(view, images)).cpu() for images, _ in batches]
    return torch.cat(found)


def _centre(view: View, images: Tensor) -> Tensor:
    return next(islice(view.crops(images), view.centre, None))
