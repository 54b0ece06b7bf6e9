"""List the folders of data sets with one folder of images for each class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dmix.data.sets.listed import Place


def subfolders(place: Place, folder: str) -> list[str]:
    """Return the names of the subfolders of `folder` (relative to the data set), sorted."""
    return sorted(path.name for path in (place.folder / folder).iterdir() if path.is_dir())


def images_in(place: Place, folder: str) -> list[str]:
    """Return the names of the .JPEG files of `folder` (relative to the data set), sorted.

    Raises
    ------
    DmixError: there are none.
    """
    names = sorted(path.name for path in (place.folder / folder).iterdir() if path.suffix == ".JPEG")
    if not names:
        raise place.fault(f"{place.folder / folder} holds no images (*.JPEG)")
    return names


@contextmanager
def readable(place: Place) -> Iterator[None]:
    """Turn an OSError within the block into a DmixError that names the file or folder.

    Raises
    ------
    DmixError: a file or folder of the data set is missing or cannot be read.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise place.fault(f"{error.filename} is missing") from error
    except OSError as error:
        raise place.fault(f"cannot read {error.filename}: {error.strerror or error}") from error
