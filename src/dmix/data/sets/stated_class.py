"""Whether images lie in the folder of their class, where their names or a list state the class as well."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dmix.data.sets.listed import Place

# n01440764 in n01440764_10026.JPEG, and in the ILSVRC2012_val_00000293_n01440764.JPEG of some editions
WNID = re.compile(r"(?<![A-Za-z0-9])n\d{8}(?![A-Za-z0-9])", re.ASCII)


def require_own_names(place: Place, images: Iterable[tuple[str, str]]) -> None:
    """Check that no image is in the folder of another WordNet id than its name states.

    Parameters
    ----------
    images: the path of each image relative to the data set, and the name of its class's folder. Neither a
        class that is no WordNet id nor a file name without one is compared.

    Raises
    ------
    DmixError: some are; with their number and the first of them.
    """

    def stated() -> Iterator[tuple[str, str, str]]:
        for path, folder in images:
            if WNID.fullmatch(folder):
                for wnid in WNID.findall(path.rpartition("/")[2]):
                    yield path, folder, wnid

    require_same(place, stated(), "its name")


def require_same(place: Place, images: Iterable[tuple[str, str, str]], by: str) -> None:
    """Check that the class of each image by its folder is the one that it has by something else.

    Parameters
    ----------
    images: path, class by the folder, other class. by: what says the other class, for the message.

    Raises
    ------
    DmixError: some differ; with their number and the first of them.
    """
    wrong = [(path, other) for path, folder, other in images if folder != other]
    if wrong:
        path, other = wrong[0]
        more = f" (and so are {len(wrong) - 1:,} more images)" if len(wrong) > 1 else ""
        raise place.fault(
            f"{place.folder / path} is in the folder of another class: by {by} it is of {other}{more}"
        )
