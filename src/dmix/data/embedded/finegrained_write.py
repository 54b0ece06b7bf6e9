"""Writes small procedural data sets in the layouts of the genuine fine-grained archives."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dmix.data.embedded import procedural
from dmix.data.embedded.procedural_files import encode

SEED = 20110101
CLASSES = 20  # of each set; the three share sixty procedural classes, so that each has its own hues
TRAIN, VAL, TEST = 10, 5, 10  # images of a class; only FGVC-Aircraft tells train and val apart
CUB, AIRCRAFT, CARS = range(3)
MAT_TEXT = 116  # bytes of free text at the head of a .mat file


@dataclass(frozen=True)
class Picture:
    """An encoded image of class `label`, the `rank`-th of its class (from 0).

    `box` holds the first and last column and row of the object: x1, y1, x2, y2 in pixels, from 0.
    """

    label: int
    rank: int
    jpeg: bytes
    box: tuple[int, int, int, int]

    @property
    def split(self) -> str:
        """Return "train", "val" or "test"."""
        return "train" if self.rank < TRAIN else "val" if self.rank < TRAIN + VAL else "test"


def write_cub(folder: Path) -> None:
    """Write the layout of CUB-200-2011."""
    classes = [f"{label:03d}.{name}" for label, name in enumerate(_class_names(CUB), start=1)]
    images, labels, splits, boxes = [], [], [], []
    for number, picture in enumerate(_draw(CUB), start=1):
        name = classes[picture.label]
        path = f"{name}/{name[4:]}_{picture.rank + 1:04d}_{number}.jpg"
        _write(folder / "images" / path, picture.jpeg)
        x1, y1, x2, y2 = picture.box
        images.append(path)
        labels.append(f"{picture.label + 1}")
        splits.append(f"{int(picture.split != 'test')}")
        boxes.append(f"{x1}.0 {y1}.0 {x2 - x1 + 1}.0 {y2 - y1 + 1}.0")
    for file, values in (
        ("classes.txt", classes),
        ("images.txt", images),
        ("image_class_labels.txt", labels),
        ("train_test_split.txt", splits),
        ("bounding_boxes.txt", boxes),
    ):
        _write_lines(folder / file, [f"{number} {value}" for number, value in enumerate(values, start=1)])


def write_aircraft(folder: Path) -> None:
    """Write the layout of FGVC-Aircraft 2013b; variants' names have a blank or a "/", alternately."""
    variants = [name.replace("_", " /"[label % 2]) for label, name in enumerate(_class_names(AIRCRAFT))]
    lists: dict[str, list[str]] = {"train": [], "val": [], "trainval": [], "test": []}
    for number, picture in enumerate(_draw(AIRCRAFT), start=1):
        _write(folder / "data" / "images" / f"{number:07d}.jpg", picture.jpeg)
        line = f"{number:07d} {variants[picture.label]}"
        lists[picture.split].append(line)
        if picture.split != "test":
            lists["trainval"].append(line)
    _write_lines(folder / "data" / "variants.txt", variants)
    for split, lines in lists.items():
        _write_lines(folder / "data" / f"images_variant_{split}.txt", lines)


def write_cars(folder: Path) -> None:
    """Write the layout of Stanford-Cars with the merged annotation file."""
    rows = []
    for number, picture in enumerate(_draw(CARS), start=1):
        path = f"car_ims/{number:06d}.jpg"
        _write(folder / path, picture.jpeg)
        box = [np.uint8(edge + 1) for edge in picture.box]
        rows.append((path, *box, np.uint8(picture.label + 1), np.uint8(picture.split == "test")))
    fields = ("relative_im_path", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "test")
    annotations = np.array([rows], dtype=[(field, object) for field in fields])
    class_names = np.array([[name.replace("_", " ") for name in _class_names(CARS)]], dtype=object)
    _write_mat(folder / "cars_annos.mat", {"annotations": annotations, "class_names": class_names})


def _draw(part: int) -> Iterator[Picture]:
    """Draw one of the three sets class by class, in landscape and portrait sizes of 64 to 108 pixels."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([SEED, part])))
    for serial, (label, rank) in enumerate(np.ndindex(CLASSES, TRAIN + VAL + TEST)):
        long, cut = int(rng.integers(84, 109)), int(rng.integers(8, 21))
        whole, middle = slice(0, long), slice(cut // 2, long - cut + cut // 2)
        rows, columns = (whole, middle) if rng.random() < 0.5 else (middle, whole)
        images, masks = procedural.render(np.array([part * CLASSES + label]), long, 3 * CLASSES, rng)
        jpeg = encode(images[0].transpose(1, 2, 0)[rows, columns], serial)
        yield Picture(label, rank, jpeg, _box(masks[0, rows, columns]))


def _class_names(part: int) -> list[str]:
    names = (procedural.class_name(part * CLASSES + label) for label in range(CLASSES))
    return [name.capitalize() for name in names]


def _box(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(mask)
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    _write(path, "".join(f"{line}\n" for line in lines).encode())


def _write_mat(path: Path, variables: Mapping[str, npt.NDArray[np.object_]]) -> None:
    """Write a MATLAB 5 file with the same bytes every time.

    The date in scipy's header is replaced, and nothing is compressed, because builds of zlib compress
    differently.
    """
    from scipy.io import savemat  # type: ignore[import-untyped]

    stream = io.BytesIO()
    savemat(stream, dict(variables), do_compression=False)
    head = b"MATLAB 5.0 MAT-file, written by dmix".ljust(MAT_TEXT)
    _write(path, head + stream.getvalue()[MAT_TEXT:])
