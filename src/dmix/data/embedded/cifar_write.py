"""Writes CIFAR's "python version" files, so that any reader of the genuine ones reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dmix.data.sets import legacy_pickle
from dmix.data.sets.cifar_format import CIFAR10, CIFAR100, ROW, Layout
from dmix.data.sets.dataset import Split


def write_batch(
    path: Path, split: Split, layout: Layout, title: str, extra: Mapping[bytes, legacy_pickle.Value]
) -> None:
    """Write one batch file: pixels, labels, a file name per image, and the `extra` entries."""
    rows: npt.NDArray[np.uint8] = split.images.reshape(len(split), -1)
    entries: dict[bytes, legacy_pickle.Value] = {
        b"batch_label": title.encode(),
        layout.label_key: split.labels.tolist(),
        b"data": rows,
        b"filenames": [f"{title.replace(' ', '_')}_{row:05d}.png".encode() for row in range(len(split))],
        **extra,
    }
    path.write_bytes(legacy_pickle.dumps(entries))


def write_cifar10(folder: Path, train: Split, test: Split, names: Sequence[str]) -> None:
    """Write the CIFAR-10 layout; the train images are split into five equal batches, in order."""
    images, labels = np.split(train.images, 5), np.split(train.labels, 5)
    for number, name in enumerate(CIFAR10.train):
        batch = Split(images[number], labels[number])
        write_batch(folder / name, batch, CIFAR10, f"training batch {number + 1} of 5", {})
    write_batch(folder / CIFAR10.test[0], test, CIFAR10, "testing batch 1 of 1", {})
    meta: dict[bytes, legacy_pickle.Value] = {
        b"num_cases_per_batch": len(train) // 5,
        b"label_names": [name.encode() for name in names],
        b"num_vis": ROW,
    }
    (folder / CIFAR10.meta).write_bytes(legacy_pickle.dumps(meta))


def write_cifar100(
    folder: Path, train: Split, test: Split, names: Sequence[str], groups: Sequence[str]
) -> None:
    """Write the CIFAR-100 layout; each coarse label covers equally many consecutive fine labels."""
    share = len(names) // len(groups)
    for name, split, title in (
        ("train", train, "training batch 1 of 1"),
        ("test", test, "testing batch 1 of 1"),
    ):
        coarse: dict[bytes, legacy_pickle.Value] = {b"coarse_labels": (split.labels // share).tolist()}
        write_batch(folder / name, split, CIFAR100, title, coarse)
    meta: dict[bytes, legacy_pickle.Value] = {
        b"fine_label_names": [name.encode() for name in names],
        b"coarse_label_names": [name.encode() for name in groups],
    }
    (folder / CIFAR100.meta).write_bytes(legacy_pickle.dumps(meta))
