"""The data sets CIFAR-10 and CIFAR-100, genuine or embedded, from their folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Gt

from dmix.data.sets import cifar_format, marker
from dmix.data.sets.block_means import reduced, require_divisor
from dmix.data.sets.dataset import Dataset
from dmix.errors import DmixError
from dmix.part import part

FOLDER = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}


@part
def cifar(
    root: Path,
    *,
    folder: Literal["cifar-10-batches-py", "cifar-100-python"],
    edition: Literal["real", "embedded"],
    classes: Annotated[int, Gt(1)],
    train_size: Annotated[int, Gt(0)],
    test_size: Annotated[int, Gt(0)],
    image_size: Annotated[int, Gt(0)],
) -> Dataset:
    """Read `root/<edition>/<folder>`, verified against its checksums and these settings.

    Parameters
    ----------
    root: the folder that holds the editions.
    classes: the number of classes that the data set must have.
    train_size, test_size: the images each split must hold.
    image_size: side in pixels, 32 or a divisor of it: images are reduced by block means.

    Raises
    ------
    DmixError: the data are missing, damaged, of the other edition, or not as the settings say.
    """
    layout = cifar_format.LAYOUTS[folder]
    require_divisor(layout.name, cifar_format.SIZE, image_size)
    place = root / edition / folder
    way_out = marker.WAY_OUT if edition == "embedded" else f"run: dmix data fetch {layout.name}"
    if not place.is_dir():
        raise DmixError(f"data set {layout.name} ({edition} edition) is missing: {place}", way_out)
    if edition == "real":  # what is there is left alone by `dmix data fetch`
        way_out = f"remove {place}, then {way_out}"
    if edition == "embedded":
        checksums, algorithm = marker.read(place).files, "sha256"
    else:
        if (place / marker.NAME).exists():
            raise DmixError(f"{place} is the embedded edition, in the place of the real one", way_out)
        checksums, algorithm = dict(layout.md5), "md5"
    train, test, named = cifar_format.read(place, layout, checksums, algorithm, way_out)
    for what, found, expected in (
        ("classes", named, classes),
        ("train images", len(train), train_size),
        ("test images", len(test), test_size),
    ):
        if found != expected:
            raise DmixError(
                f"{place} holds {found} {what}, the settings say {expected}",
                f"correct the sizes of {layout.name} ({edition} edition) in params.yaml",
            )
    splits = {"train": reduced(train, image_size), "test": reduced(test, image_size)}
    return Dataset(name=layout.name, edition=edition, classes=classes, splits=splits)
