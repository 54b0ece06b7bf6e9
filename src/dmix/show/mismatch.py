"""Label mismatch of a policy: what its mixed pictures show of the own object, beside lam, on many pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from dmix.data.loading.loader import Normaliser
from dmix.data.sets.dataset import Dataset
from dmix.engine.parts import load_part
from dmix.engine.seeding import derive
from dmix.grid.spec import RunSpec
from dmix.policies.policy import Draws
from dmix.show.draws import Neighbours, require_neighbours
from dmix.show.objects import NumpySeesConstants, own_shares_of_pairs
from dmix.show.policies import Built
from dmix.show.rows import SPLIT, Rows, read_rows

COLUMNS = ["lam", "share", "mismatch"]


def mismatches(
    built: Built, spec: RunSpec, dataset: Dataset, data_root: Path, *, batches: int, pairs: int
) -> pd.DataFrame:
    """Return one row for each pair of test images, mixed by the policy of a run as in training.

    Columns: lam, share (of the own object among the visible ones, NaN where it is not known, as in mixed
    hidden states), and mismatch = share - lam. The pairs are the same for every policy on the same data set;
    lam is drawn by the policy itself, for static ones once per batch.

    Parameters
    ----------
    built: the policy of `spec`. dataset: with known objects.
    batches, pairs: `batches` times `pairs` pairs are mixed.

    Raises
    ------
    DmixError: the data are damaged, or the policy chooses other pairs.
    """
    view = load_part("view", spec.settings["view"])
    found = []
    for number, index in enumerate(choose_batches(dataset.splits[SPLIT].labels, batches, pairs)):
        rows = read_rows(dataset, index, view, data_root)
        lam, share = mixed_shares(built, rows, spec, number)
        found.append(pd.DataFrame({"lam": lam, "share": share}))
    frame = pd.concat(found, ignore_index=True).astype(float)
    return frame.assign(mismatch=frame["share"] - frame["lam"])[COLUMNS]


def choose_batches(labels: npt.NDArray[np.int64], batches: int, pairs: int) -> list[npt.NDArray[np.int64]]:
    """Return indices of the images of each batch, neighbours being partners of different classes.

    Images are drawn without replacement within a batch. A pair of one class has its second image replaced.
    """
    rng = np.random.default_rng(derive(0, "mismatch"))
    found = []
    for _ in range(batches):
        index = rng.choice(len(labels), 2 * pairs, replace=False)
        for row in range(0, 2 * pairs, 2):
            while labels[index[row]] == labels[index[row + 1]]:
                index[row + 1] = rng.integers(len(labels))
        found.append(index)
    return found


def mixed_shares(
    built: Built, rows: Rows, spec: RunSpec, number: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return lam and the true share of the first row of each pair, (N / 2,) each, of batch `number`."""
    assert rows.cover is not None
    recipe = spec.settings["recipe"]
    images = Normaliser(recipe["mean"], recipe["std"], torch.device("cpu"))(torch.from_numpy(rows.images))
    images.requires_grad_()
    labels = torch.from_numpy(rows.labels)
    noise = torch.Generator().manual_seed(derive(0, "mismatch", "noise", number))
    draws = Draws(Neighbours(derive(0, "mismatch", "host", number)), noise)
    with NumpySeesConstants():
        mixed = built.policy.mix(images, labels, draws, built.context)
    require_neighbours(mixed, labels)
    lam = mixed.lam[::2].detach().numpy()
    if mixed.hidden is not None and mixed.hidden.layer > 0:
        return lam, np.full_like(lam, np.nan)
    fed = mixed.hidden.apply(mixed.images) if mixed.hidden else mixed.images
    return lam, own_shares_of_pairs(fed, images, torch.from_numpy(rows.cover)).float().numpy()
