"""A data set of one's own in class folders: made here, with the lines of params.yaml that train on it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from project import small_params

ENTRY = "{title: Oxford Pets, use: class_folders, classes: 2, train_size: 40, test_size: 2}"
FILES = """
  files:
    epochs: 2
    batch_size: 20
    optimizer: {use: sgd, momentum: 0.9}
    lr: 0.1
    weight_decay: 0.0
    schedule: {use: cosine}
    score: last
    eval_every: 1
    mean: [0.5, 0.5, 0.5]
    std: [0.5, 0.5, 0.5]
    augment: {use: random_resized_crop, size: 32, scale: [0.5, 1.0], interpolation: bicubic, flip: 0.5}
    view: {use: resize_crop, shorter_side: 36, size: 32, interpolation: bicubic}
    stem: imagenet
"""
GRID = (
    "  pets: {method: supervised, recipe: files, dataset: pets, backbone: resnet18, policy: vanilla, "
    "objective: ce}\n"
)
TABLE = (
    '  tablePets: {number: "9", title: Pets, grids: [pets, cifar10_vanilla], rows: policy, '
    "columns: [dataset, objective]}\n"
)
NAME = "supervised/pets/resnet18/vanilla/ce/s0"


def params(entry: str = ENTRY) -> str:
    """Return the small params.yaml with the data set `pets`, a recipe, a grid and a table of it."""
    text = small_params()
    for old, new in (
        ("\nbackbones:\n", f"  pets: {entry}\n\nbackbones:\n"),
        ("\npolicies:\n", f"{FILES}\npolicies:\n"),
        ("\ntables:\n", f"{GRID}\ntables:\n{TABLE}"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def write(place: Path) -> Path:
    """Write twenty training images and a test image of each of two classes."""
    for split, count in (("train", 20), ("val", 1)):
        for name in ("cat", "dog"):
            (place / split / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (40, 50), (number, 0, 0)).save(place / split / name / f"{number}.jpg")
    return place
