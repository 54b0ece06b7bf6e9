"""Pictures of the same pairs of images, mixed by every policy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dmix.data.loading.loader import Normaliser
from dmix.data.sets.dataset import Dataset, Split
from dmix.engine.device import choose_device
from dmix.engine.parts import load_dataset
from dmix.errors import DmixError
from dmix.grid.expand import Grid
from dmix.policies.policy import Draws, Mixed
from dmix.show.draws import PairedDraws
from dmix.show.objects import NumpySeesConstants, object_cover, own_share
from dmix.show.policies import Built, build, choose_run

PAIRS = 5
SEED = 0
SPLIT = "test"


@dataclass(frozen=True, eq=False)
class Batch:
    """The images of all pairs: own image, its partner, the next own image, and so on; no class twice.

    images: uint8 (2P, 3, H, W). labels: int64 (2P,). cover: float32 (2P, H, W), where objects are known.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    cover: npt.NDArray[np.float32] | None


@dataclass(frozen=True)
class Picture:
    """One mixed image and its label.

    Attributes
    ----------
    pixels: (H, W, 3) in [0, 1]. classes: own and partner's. lam: weight of the own class.
    share: of the own object among the visible objects; NaN where it is not known.
    stage: the network stage after which hidden states are mixed; 0 if the images themselves are.
    """

    pixels: npt.NDArray[np.float32]
    classes: tuple[int, int]
    lam: float
    share: float
    stage: int


@dataclass(frozen=True)
class Column:
    """A policy's title and its pictures, one for each pair."""

    title: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Gallery:
    """One column of pictures for each policy that can be shown, of the same pairs.

    `left_out` has the title of each other policy and the reason. `subject` names the data set, its edition
    and the tier.
    """

    subject: str
    batch: Batch
    columns: tuple[Column, ...]
    left_out: tuple[str, ...]


def gallery(grid: Grid, dataset_name: str, lam: float, runs_root: Path, data_root: Path) -> Gallery:
    """Mix the same pairs of test images by every policy of `params.yaml` that mixes.

    Every policy is given the same pairs and, if it draws lam, the same lam; all its other draws are seeded.
    A policy that cannot be shown is left out, with the reason.

    Parameters
    ----------
    lam: in [0, 1]. runs_root: results/<tier>/runs. data_root: the folder that holds the editions.

    Raises
    ------
    DmixError: an unknown or missing data set, one that no run mixes, or a lam out of range.
    """
    if not 0 <= lam <= 1:
        raise DmixError(f"lam is {lam}, and must be in 0..1")
    if dataset_name not in grid.params.datasets:
        raise DmixError(
            f"there is no data set named {dataset_name!r}", f"choose one of {', '.join(grid.params.datasets)}"
        )
    mixing = [key for key, entry in grid.params.policies.items() if entry.kind != "none"]
    runs = {key: choose_run(grid, dataset_name, key, runs_root) for key in mixing}
    some = next((name for name in runs.values() if name is not None), None)
    if some is None:
        raise DmixError(f"no grid of params.yaml mixes the images of {dataset_name}")
    choose_device("cpu")
    dataset = load_dataset(grid.runs[some], data_root)
    batch = choose_pairs(dataset, data_root)
    columns: list[Column] = []
    left_out: list[str] = []
    for key, name in runs.items():
        title = grid.params.policies[key].title
        if name is None:
            left_out.append(f"{title}: no grid has it on {dataset_name}")
            continue
        try:
            columns.append(_column(grid, name, dataset, batch, lam, runs_root))
        except DmixError as error:
            left_out.append(f"{title}: {error}")
    subject = f"{grid.params.datasets[dataset_name].title} ({dataset.edition} edition), tier {grid.tier}"
    return Gallery(subject, batch, tuple(columns), tuple(left_out))


def _column(grid: Grid, name: str, dataset: Dataset, batch: Batch, lam: float, runs_root: Path) -> Column:
    """Return the column of the policy of run `name`.

    Raises
    ------
    DmixError: the policy has no file, cannot be built or chooses other pairs.
    """
    if absent := grid.missing(name):
        raise DmixError(f"not yet implemented, it needs {', '.join(absent)}")
    built = build(grid, name, dataset, runs_root)
    pictures = mix_pairs(built, batch, grid.runs[name].settings["recipe"], lam)
    policy = grid.params.policies[grid.runs[name].axes["policy"]]
    untrained = policy.kind == "dynamic" and not built.trained
    return Column(f"{policy.title}\n(untrained)" if untrained else policy.title, pictures)


def choose_pairs(dataset: Dataset, data_root: Path) -> Batch:
    """Return up to five pairs: the first test image of each of the first classes that occur.

    Raises
    ------
    DmixError: the images are files, which have no one size, or the masks are missing or damaged.
    """
    split = dataset.splits[SPLIT]
    if not isinstance(split, Split):
        raise DmixError(f"the images of {dataset.name} are files; only data sets in memory can be shown")
    _, first = np.unique(split.labels, return_index=True)
    pairs = min(PAIRS, len(first) // 2)
    chosen = np.sort(first)[: 2 * pairs]
    cover = object_cover(dataset, SPLIT, split.images.shape[-1], data_root)
    return Batch(split.images[chosen], split.labels[chosen], None if cover is None else cover[chosen])


def mix_pairs(built: Built, batch: Batch, recipe: Mapping[str, Any], lam: float) -> tuple[Picture, ...]:
    """Mix the pairs as in training.

    Parameters
    ----------
    recipe: of which the mean and the standard deviation of the pixels are used.

    Raises
    ------
    DmixError: the policy does not pair the images as `PairedDraws` says.
    """
    images = Normaliser(recipe["mean"], recipe["std"], torch.device("cpu"))(torch.from_numpy(batch.images))
    labels = torch.from_numpy(batch.labels)
    images.requires_grad_(batch.cover is not None)
    draws = Draws(PairedDraws(SEED, lam), torch.Generator().manual_seed(SEED))
    with NumpySeesConstants():
        mixed = built.policy.mix(images, labels, draws, built.context)
    partner = torch.arange(len(labels)) ^ 1
    if not ((mixed.y_b == labels[partner]) | (mixed.lam == 1)).all():
        raise DmixError("it takes its partners from elsewhere than draws.host.permutation")
    return tuple(_picture(built, batch, images, mixed, row) for row in range(0, len(labels), 2))


def _picture(built: Built, batch: Batch, images: Tensor, mixed: Mixed, row: int) -> Picture:
    """Return the picture and the label that the network is trained with in `row`."""
    stage = mixed.hidden.layer if mixed.hidden else 0
    fed = mixed.hidden.apply(mixed.images) if mixed.hidden and stage == 0 else mixed.images
    share = math.nan
    if batch.cover is not None and stage == 0:
        share = own_share(fed, images, torch.from_numpy(batch.cover), row)
    pixels = built.context.pixels(fed.detach()[row : row + 1])[0].clamp(0, 1)
    return Picture(
        pixels=pixels.permute(1, 2, 0).numpy(),
        classes=(int(mixed.y_a[row]), int(mixed.y_b[row])),
        lam=mixed.lam[row].item(),
        share=share,
        stage=stage,
    )
