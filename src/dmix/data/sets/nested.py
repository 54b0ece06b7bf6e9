"""What to move where a data set was unpacked one or more folders too deep, as downloads by hand often are."""

from __future__ import annotations

import glob
from pathlib import Path, PurePosixPath

from dmix.data.sets.leftovers import is_leftover

DEEPEST = 3  # folders too many around a whole data set: ImageNet from Kaggle has ILSVRC/Data/CLS-LOC


def advice(folder: Path, name: str) -> str:
    """Return what to move where `name`, which `folder` lacks, lies deeper; "" where it does not.

    Looked for are up to three folders around everything, and one folder too many further inside:
    `cars_train/cars_train/00001.jpg` in the place of `cars_train/00001.jpg`.

    Parameters
    ----------
    name: the path of a file or folder relative to `folder`.

    Returns
    -------
    The end of a message, ": what is in <folder>/car_devkit belongs in <folder>: move it".
    """
    parts = PurePosixPath(name).parts
    for place in reversed(range(len(parts))):  # images/images/x is one folder in images, not all in images
        above, rest = folder.joinpath(*parts[:place]), glob.escape("/".join(parts[place:]))
        for depth in range(1, 1 + (DEEPEST if place == 0 else 1)):
            # Path.glob raises an OSError at names that no file can have
            for found in sorted(glob.glob("*/" * depth + rest, root_dir=above)):  # noqa: PTH207
                between = Path(found).parts[:depth]
                if not any(map(is_leftover, between)):
                    return f": what is in {above.joinpath(*between)} belongs in {above}: move it"
    return ""
