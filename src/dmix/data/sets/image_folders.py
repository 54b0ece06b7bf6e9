"""List the folders of data sets with one folder of images for each class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dmix.data.sets.leftovers import is_leftover
from dmix.data.sets.listed import Place
from dmix.data.sets.nested import advice


def subfolders(place: Place, folder: str) -> list[str]:
    """Return the names of the subfolders of `folder` (relative to the data set) but leftovers, sorted."""
    return sorted(
        path.name
        for path in (place.folder / folder).iterdir()
        if not is_leftover(path.name) and path.is_dir()
    )


def images_in(place: Place, folder: str) -> list[str]:
    """Return the names of the .JPEG files of `folder` (relative to the data set) but leftovers, sorted.

    Raises
    ------
    DmixError: there are none.
    """
    names = sorted(
        path.name
        for path in (place.folder / folder).iterdir()
        if path.suffix == ".JPEG" and not is_leftover(path.name)
    )
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
        missing = Path(error.filename)
        # only of the data set's own folders: among a million images the search would take minutes
        deeper = advice(place.folder, missing.name) if missing.parent == place.folder else ""
        raise place.fault(f"{missing} is missing{deeper}") from error
    except OSError as error:
        raise place.fault(f"cannot read {error.filename}: {error.strerror or error}") from error
