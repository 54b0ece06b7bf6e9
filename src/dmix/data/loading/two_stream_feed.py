"""Build the labelled and the unlabelled stream of a transfer or semi-supervised run."""

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
    """Return the loader of training batches of `split`: a labelled and, optionally, an unlabelled stream.

    Parameters
    ----------
    labels: the images of each stream; with None all are labelled, and there is no unlabelled stream.
    augments: augmentations by name, such as "augment" and "strong".
    labelled, unlabelled: for each view of a stream, its augmentation's name; () for no unlabelled stream.
    batch_size: labelled rows of a step. unlabelled_ratio: unlabelled rows for each; 0 for no such stream.
    sampling: "shuffled" uses every image of a stream once before any repeats, "replacement" draws uniformly.
    mean, std: per channel, of pixels scaled to 0..1.
    seed_of: a stream's name, "labelled" or "unlabelled", to its seed, 0 or more.

    Raises
    ------
    DmixError: an augmentation is missing, or cannot be applied to such images; a stream has no images or, if
        shuffled, fewer than a step takes.
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
    """The arguments of a stream, for images in memory and on disk; `size` is its rows per step."""

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
                f"the {name} images need the augmentation {view!r}, which the recipe does not have",
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
        # All views of an image share one read, so the cache can apply only a resize that all begin with.
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
    """Return the number of worker processes of each stream, about in proportion to their loads.

    Each stream has at least one, even if `workers` is smaller than their number, unless `workers` is 0.
    """
    shares, left, total = [], workers, sum(loads)
    for place, load in enumerate(loads):
        most = max(1, left - (len(loads) - place - 1))  # leave one for each of the later streams
        share = min(most, max(1, round(left * load / total))) if workers else 0
        shares.append(share)
        left, total = left - share, total - load
    return shares
