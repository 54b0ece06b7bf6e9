"""Chooses a run's loaders: images in memory are copied to the device once, images on disk are streamed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dmix.data.augment.contract import Augment, ImageAugment
from dmix.data.augment.resize import FirstResize
from dmix.data.loading.cached import CachedSplit, cached
from dmix.data.loading.loader import EvaluationSet, ResidentLoader
from dmix.data.loading.stream import StreamEvaluation, StreamLoader
from dmix.data.sets.dataset import AnySplit, FileSplit, Split
from dmix.data.views.contract import View
from dmix.data.views.unchanged import Unchanged
from dmix.errors import DmixError


@dataclass(frozen=True)
class ReadOptions:
    """How images on disk are read; none of it changes a pixel.

    Parameters
    ----------
    workers: processes that decode and augment, beside the one that trains.
    cache: a folder for images after the first resize of an augmentation or test-time transform, or None.
    """

    workers: int = 0
    cache: Path | None = None


def train_loader(
    split: AnySplit,
    augment: Augment | ImageAugment,
    read_options: ReadOptions,
    *,
    batch_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    seed: int,
    device: torch.device,
    rows: slice = slice(None),
) -> ResidentLoader | StreamLoader:
    """Return the training batches of `split`; for the parameters see `ResidentLoader` and `StreamLoader`.

    Raises
    ------
    DmixError: the augmentation cannot take such images, or the split does not fill one batch.
    """
    if isinstance(split, Split):
        if not isinstance(augment, Augment):
            raise unfit("augmentation", augment, "in memory")
        return ResidentLoader(
            split, augment, batch_size=batch_size, mean=mean, std=std, seed=seed, device=device, rows=rows
        )
    if not isinstance(augment, ImageAugment):
        raise unfit("augmentation", augment, "on disk")
    return StreamLoader(
        from_cache(split, augment.first_resize, read_options),
        augment,
        batch_size=batch_size,
        mean=mean,
        std=std,
        seed=seed,
        device=device,
        workers=read_options.workers,
        rows=rows,
    )


def evaluation(
    split: AnySplit,
    view: View,
    read_options: ReadOptions,
    *,
    batch_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
    share: slice = slice(None),
) -> EvaluationSet | StreamEvaluation:
    """Return the test batches of `split`; for the parameters see `EvaluationSet` and `StreamEvaluation`.

    Raises
    ------
    DmixError: the test-time transform cannot take such images.
    """
    if isinstance(split, Split):
        if not isinstance(view, Unchanged):
            raise unfit("test-time transform", view, "in memory")
        return EvaluationSet(
            split, batch_size=batch_size, mean=mean, std=std, device=device, share=share, view=view
        )
    return StreamEvaluation(
        from_cache(split, view.first_resize, read_options),
        view,
        batch_size=batch_size,
        mean=mean,
        std=std,
        device=device,
        workers=read_options.workers,
        share=share,
    )


def from_cache(
    split: FileSplit, first: FirstResize | None, read_options: ReadOptions
) -> FileSplit | CachedSplit:
    """Return `split` after its first resize, from the cache; without a resize or a cache, `split` itself."""
    if first is None or read_options.cache is None:
        return split
    return cached(split, first, read_options.cache, workers=read_options.workers)


def unfit(what: str, part: object, where: str) -> DmixError:
    """Return the error that `part` cannot take images `where` the data set has them, such as "on disk"."""
    module = type(part).__module__.rpartition(".")[2]
    return DmixError(
        f"the {what} {module} is not for images {where}, as those of this data set are",
        "choose another one in the recipe, in params.yaml",
    )
