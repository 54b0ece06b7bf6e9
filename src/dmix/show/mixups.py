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
from dmix.data.sets.dataset import Dataset
from dmix.data.views.contract import View
from dmix.engine.device import choose_device
from dmix.engine.parts import load_dataset, load_part
from dmix.errors import DmixError
from dmix.grid.expand import Grid
from dmix.policies.policy import Draws, Mixed
from dmix.show.draws import PairedDraws, require_neighbours
from dmix.show.objects import NumpySeesConstants, own_share
from dmix.show.policies import Built, build, choose_run
from dmix.show.rows import SPLIT, Rows, read_rows

PAIRS = 5
SEED = 0


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

    `batch` has the images of all pairs: own image, its partner, the next own image, and so on; no class
    twice. `left_out` has the title of each other policy and the reason, and `lacking` a sentence for those
    that this checkout cannot draw, as without the weights of their runs. `subject` names the data set, its
    edition and the tier.
    """

    subject: str
    batch: Rows
    columns: tuple[Column, ...]
    left_out: tuple[str, ...]
    lacking: tuple[str, ...] = ()


def gallery(
    grid: Grid,
    dataset_name: str,
    lam: float,
    runs_root: Path,
    data_root: Path,
    *,
    pairs: int = PAIRS,
) -> Gallery:
    """Mix the same pairs of test images by every policy of `params.yaml` that mixes.

    Every policy is given the same pairs and, if it draws lam, the same lam; all its other draws are seeded.
    A policy that cannot be shown is left out, with the reason.

    Parameters
    ----------
    lam: in [0, 1]. runs_root: results/<tier>/records. data_root: the folder that holds the editions.
    pairs: how many at most.

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
    view = load_part("view", grid.runs[some].settings["view"])
    batch = choose_pairs(dataset, data_root, view, pairs)
    columns: list[Column] = []
    left_out: list[str] = []
    lacking: list[str] = []
    for key, name in runs.items():
        title = grid.params.policies[key].title
        if name is None:
            left_out.append(f"{title}: no grid has it on {dataset_name}")
            continue
        try:
            columns.append(_column(grid, name, dataset, batch, lam, runs_root))
        except DmixError as error:
            left_out.append(f"{title}: {error}")
            lacking.append(f"{title} is left out: {error.message}.")
    subject = f"{grid.params.datasets[dataset_name].title} ({dataset.edition} edition), tier {grid.tier}"
    return Gallery(subject, batch, tuple(columns), tuple(left_out), tuple(lacking))


def _column(grid: Grid, name: str, dataset: Dataset, batch: Rows, lam: float, runs_root: Path) -> Column:
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


def choose_pairs(dataset: Dataset, data_root: Path, view: View, pairs: int) -> Rows:
    """Return up to `pairs` pairs: the first test image of each of the first classes that occur.

    Raises
    ------
    DmixError: an image, its mask or its box is missing or damaged.
    """
    _, first = np.unique(dataset.splits[SPLIT].labels, return_index=True)
    chosen = np.sort(first)[: 2 * min(pairs, len(first) // 2)]
    return read_rows(dataset, chosen, view, data_root)


def mix_pairs(built: Built, batch: Rows, recipe: Mapping[str, Any], lam: float) -> tuple[Picture, ...]:
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
    require_neighbours(mixed, labels)
    return tuple(_picture(built, batch, images, mixed, row) for row in range(0, len(labels), 2))


def _picture(built: Built, batch: Rows, images: Tensor, mixed: Mixed, row: int) -> Picture:
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
