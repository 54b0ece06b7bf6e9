"""Test images as the network sees them, with what of every pixel the object covers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from dmix.data.sets.dataset import Dataset, FileSplit, Split
from dmix.data.views.contract import View
from dmix.errors import DmixError
from dmix.show.boxes import read_boxes
from dmix.show.objects import object_cover

SPLIT = "test"
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Rows:
    """Some images of a data set.

    images: uint8 (N, 3, H, W). labels: int64 (N,). cover: float32 (N, H, W) in [0, 1], where objects are
    known. known: how, "mask" or "box", else "".
    """

    images: Bytes
    labels: npt.NDArray[np.int64]
    cover: npt.NDArray[np.float32] | None
    known: str


def read_rows(dataset: Dataset, index: npt.NDArray[np.int64], view: View, data_root: Path) -> Rows:
    """Return the test images `index`, through the run's test-time transform (its central crop).

    Objects are known from masks (embedded sets in memory), or from bounding boxes, which go through the same
    transform as their images.

    Raises
    ------
    DmixError: a file of images, masks or boxes is damaged, or has no box of one of the images.
    """
    split = dataset.splits[SPLIT]
    if isinstance(split, Split):
        images = split.images[index]
        cover = object_cover(dataset, SPLIT, images.shape[-1], data_root, index)
        return Rows(images, split.labels[index], cover, "" if cover is None else "mask")
    pictures = [split.image(int(row)) for row in index]
    shown = _through(view, pictures)
    masks = _masks(dataset, split, index, pictures)
    if masks is None:
        return Rows(shown, split.labels[index], None, "")
    seen = _through(view, [np.repeat(mask[:, :, None], 3, axis=2) for mask in masks])
    return Rows(shown, split.labels[index], np.divide(seen[:, 0], 255, dtype=np.float32), "box")


def knows_objects(dataset: Dataset, data_root: Path) -> bool:
    """Return whether the objects in the test images of a data set are known, from masks or boxes."""
    split = dataset.splits[SPLIT]
    if isinstance(split, Split):
        return object_cover(dataset, SPLIT, split.images.shape[-1], data_root) is not None
    return read_boxes(dataset) is not None


def _masks(
    dataset: Dataset, split: FileSplit, index: npt.NDArray[np.int64], pictures: list[Bytes]
) -> list[Bytes] | None:
    """Return the boxes of the images as masks of 0 and 255, (H, W) each; None for a set without boxes."""
    boxes = read_boxes(dataset)
    if boxes is None:
        return None
    masks = []
    for row, picture in zip(index, pictures, strict=True):
        name = split.files.names[int(row)]
        if name not in boxes:
            raise DmixError(
                f"the bounding boxes of {dataset.name} have none of the image {name}",
                "compare the data set with its source, and get it again",
            )
        masks.append(boxes[name].mask(*picture.shape[:2]))
    return masks


def _through(view: View, pictures: list[Bytes]) -> Bytes:
    """Return the central crop of each picture, uint8 (N, 3, S, S)."""
    seen = torch.from_numpy(np.stack([view(picture) for picture in pictures])).permute(0, 3, 1, 2)
    crop = list(view.crops(seen))[view.centre]
    images: Bytes = crop.contiguous().numpy()
    return images
