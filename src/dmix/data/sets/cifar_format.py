"""Check and read CIFAR's "python version" files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dmix.data.sets import legacy_pickle
from dmix.data.sets.dataset import Split
from dmix.data.sets.nested import advice
from dmix.errors import DmixError

SIZE = 32  # side of an image in pixels
ROW = 3 * SIZE * SIZE  # bytes of an image: red, green and blue plane


@dataclass(frozen=True)
class Layout:
    """The files of one archive; `md5` holds the real edition's checksums (32 hex digits each)."""

    name: str
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    meta: str
    label_key: bytes
    names_key: bytes
    md5: Mapping[str, str]

    @property
    def files(self) -> tuple[str, ...]:
        """Every file name of the archive."""
        return (*self.train, *self.test, self.meta)


CIFAR10 = Layout(
    name="cifar10",
    folder="cifar-10-batches-py",
    train=("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"),
    test=("test_batch",),
    meta="batches.meta",
    label_key=b"labels",
    names_key=b"label_names",
    md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
)
CIFAR100 = Layout(
    name="cifar100",
    folder="cifar-100-python",
    train=("train",),
    test=("test",),
    meta="meta",
    label_key=b"fine_labels",
    names_key=b"fine_label_names",
    md5={
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    },
)
LAYOUTS: Mapping[str, Layout] = {layout.folder: layout for layout in (CIFAR10, CIFAR100)}


def read(
    folder: Path, layout: Layout, checksums: Mapping[str, str], algorithm: str, way_out: str
) -> tuple[Split, Split, int]:
    """Check every file of the archive, then read it.

    Parameters
    ----------
    checksums: file name to hex digest by `algorithm` ("md5" or "sha256").
    way_out: what to do about a missing or wrong file, for messages.

    Returns
    -------
    The train and the test split (32 x 32 images) and the number of class names.

    Raises
    ------
    DmixError: a file is missing, its checksum differs, or its content is not in CIFAR's format.
    """
    contents = {
        name: _checked(folder / name, checksums.get(name), algorithm, way_out) for name in layout.files
    }
    found = {name: legacy_pickle.loads(content, folder / name, way_out) for name, content in contents.items()}
    names = _entry(found[layout.meta], layout.names_key, folder / layout.meta, way_out)
    if not isinstance(names, list):
        raise DmixError(f"{folder / layout.meta}: the class names are no list", way_out)
    train, test = (
        _join([_batch(found[name], layout.label_key, folder / name, len(names), way_out) for name in group])
        for group in (layout.train, layout.test)
    )
    return train, test, len(names)


def _checked(path: Path, expected: str | None, algorithm: str, way_out: str) -> bytes:
    """Return the bytes whose checksum was compared, so that no others are unpickled."""
    if expected is None:
        raise DmixError(f"{path}: no checksum is known for this file", way_out)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DmixError(f"{path} is missing{advice(path.parent, path.name)}", way_out) from error
    except OSError as error:
        raise DmixError(f"cannot read {path}: {error.strerror or error}", way_out) from error
    digest = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if digest != expected:
        raise DmixError(
            f"{path} ({len(content)} bytes) is not the expected file: its {algorithm} is {digest}, not "
            f"{expected}; it is cut short, damaged or another file",
            way_out,
        )
    return content


def _entry(found: Mapping[bytes, Any], key: bytes, path: Path, way_out: str) -> Any:
    try:
        return found[key]
    except KeyError:
        raise DmixError(f"{path} has no entry {key.decode()!r}", way_out) from None


def _batch(found: Mapping[bytes, Any], label_key: bytes, path: Path, classes: int, way_out: str) -> Split:
    data = _entry(found, b"data", path, way_out)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != ROW:
        raise DmixError(f"{path}: 'data' is not a table of {ROW} bytes a row", way_out)
    listed = _entry(found, label_key, path, way_out)
    if not isinstance(listed, list) or not all(type(label) is int for label in listed):
        raise DmixError(f"{path}: {label_key.decode()!r} is not a list of whole numbers", way_out)
    if len(listed) != len(data):
        raise DmixError(f"{path}: {len(listed)} labels for {len(data)} images", way_out)
    wrong = next((label for label in listed if not 0 <= label < classes), None)
    if wrong is not None:
        raise DmixError(f"{path}: label {wrong} is not among 0..{classes - 1}", way_out)
    return Split(data.reshape(-1, 3, SIZE, SIZE), np.array(listed, dtype=np.int64))


def _join(batches: Sequence[Split]) -> Split:
    images = np.concatenate([batch.images for batch in batches])
    return Split(images, np.concatenate([batch.labels for batch in batches]))
