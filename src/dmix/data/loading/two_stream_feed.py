"""From a split and its labels to the two streams that feed a run of transfer or semi-supervised learning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from dmix.data.augment.contract import Augment, ImageAugment
from dmix.data.labels.label_split import LabelSplit
from dmix.data.loading.disk_views import DiskViews
from dmix.data.loading.feed import ReadOptions, from_cache, unfit
from dmix.data.loading.resident_views import Resident, ResidentViews
from dmix.data.loading.sampling import Ints, Sampler, Shuffled, WithReplacement
from dmix.data.loading.two_streams import TwoStreamLoader
from dmix.data.sets.dataset import AnySplit, FileSplit, Split
from dmix.errors import DmixError

Sampling = Literal["shuffled", "replacement"]


def two_stream_loader(
    split: AnySplit,
    labels: LabelSplit | None,
    augments: Mapping[str, Augment | ImageAugment],
    read_options: ReadOptions,
    *,
    labelled: tuple[str, ...],
    unlabelled: tuple[str, ...],
    batch_size: int,
    unlabelled_ratio: int,
    sampling: Sampling,
    mean: Sequence[float],
    std: Sequence[float],
    seed_of: Callable[[str], int],
    device: torch.device,
) -> TwoStreamLoader:
    """Return the training batches of `split` in a labelled stream and, if there is one, an unlabelled stream.

    Parameters
    ----------
    labels: which images each stream has; with None all are labelled, and there is no unlabelled stream.
    augments: by name, such as "augment" and "strong".
    labelled, unlabelled: name of the augmentation of each view of a stream; () for no unlabelled stream.
    batch_size: labelled rows of a step. unlabelled_ratio: unlabelled ones in units of that; 0 for no stream.
    sampling: "shuffled" takes every image of a stream once before any comes again, "replacement" draws
        uniformly.
    mean, std: per channel, of pixels scaled to 0..1.
    seed_of: from a stream's name, "labelled" or "unlabelled", to its seed, 0 or more.

    Raises
    ------
    DmixError: there is no augmentation of such a name, or it has no form for such images; a stream has no
        images or, when shuffled, fewer than a step takes.
    """
    rows = np.arange(len(split)) if labels is None else labels.labelled
    plans = [_plan("labelled", rows, batch_size, augments, labelled, sampling, seed_of)]
    if labels is not None and unlabelled and unlabelled_ratio:
        size = batch_size * unlabelled_ratio
        plans.append(_plan("unlabelled", labels.unlabelled, size, augments, unlabelled, sampling, seed_of))
    streams = (
        _streams_in_memory(split, plans, mean, std, device)
        if isinstance(split, Split)
        else _streams_on_disk(split, plans, read_options, mean, std, device)
    )
    return TwoStreamLoader(streams[0], streams[1] if len(streams) > 1 else None)


@dataclass(frozen=True, eq=False)
class _Plan:
    """What a stream is made of, whatever its images are; `size` of them in a step."""

    sampler: Sampler
    size: int
    views: tuple[Augment | ImageAugment, ...]
    seed: int


def _plan(
    name: str,
    rows: Ints,
    size: int,
    augments: Mapping[str, Augment | ImageAugment],
    views: tuple[str, ...],
    sampling: Sampling,
    seed_of: Callable[[str], int],
) -> _Plan:
    for view in views:
        if view not in augments:
            raise DmixError(
                f"the {name} images have a view by the augmentation {view!r}, which the recipe has not",
                f"add it to the recipe, in params.yaml; there are {', '.join(augments)}",
            )
    if len(rows) < (size if sampling == "shuffled" else 1):
        raise DmixError(
            f"a step takes {size} {name} images, but there are {len(rows)}",
            "in params.yaml, lower batch_size or unlabelled_ratio, or change how many images have labels",
        )
    seed = seed_of(name)
    draw = Shuffled if sampling == "shuffled" else WithReplacement
    return _Plan(draw(rows, size, seed), size, tuple(augments[view] for view in views), seed)


def _streams_in_memory(
    split: Split, plans: Sequence[_Plan], mean: Sequence[float], std: Sequence[float], device: torch.device
) -> list[ResidentViews]:
    resident = Resident.of(split, device)
    streams = []
    for plan in plans:
        views = []
        for augment in plan.views:
            if not isinstance(augment, Augment):
                raise unfit("augmentation", augment, "in memory")
            views.append(augment)
        streams.append(
            ResidentViews(
                resident, plan.sampler, views, batch_size=plan.size, mean=mean, std=std, seed=plan.seed
            )
        )
    return streams


def _streams_on_disk(
    split: FileSplit,
    plans: Sequence[_Plan],
    read_options: ReadOptions,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
) -> list[DiskViews]:
    streams = []
    workers = shares_of(read_options.workers, [plan.size * len(plan.views) for plan in plans])
    for plan, own in zip(plans, workers, strict=True):
        views = []
        for augment in plan.views:
            if not isinstance(augment, ImageAugment):
                raise unfit("augmentation", augment, "on disk")
            views.append(augment)
        # An image is read once for all of its views, so they can only share what they all begin with.
        first, *others = (augment.first_resize for augment in views)
        images = from_cache(split, first if all(other == first for other in others) else None, read_options)
        streams.append(
            DiskViews(
                images,
                plan.sampler,
                views,
                batch_size=plan.size,
                mean=mean,
                std=std,
                seed=plan.seed,
                device=device,
                workers=own,
            )
        )
    return streams


def shares_of(workers: int, loads: Sequence[int]) -> list[int]:
    """Return how many of the worker processes each stream has, about by their loads.

    With fewer processes than streams each stream still has one, unless there are none at all.
    """
    shares, left, total = [], workers, sum(loads)
    for place, load in enumerate(loads):
        most = max(1, left - (len(loads) - place - 1))  # each of the later ones is to have one
        share = min(most, max(1, round(left * load / total))) if workers else 0
        shares.append(share)
        left, total = left - share, total - load
    return shares
