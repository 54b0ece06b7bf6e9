"""The classes of ImageNet's validation images, from its development kit."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

from scipy.io import loadmat  # type: ignore[import-untyped]

from dmix.errors import DmixError

ARCHIVE = "ILSVRC2012_devkit_t12.tar.gz"
MD5 = "fa75699e90414af021442c21a62c3abf"
META = "ILSVRC2012_devkit_t12/data/meta.mat"
GROUND_TRUTH = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"


def validation_wnids(archive: Path, way_out: str) -> list[str]:
    """Return the WordNet id of every validation image, in the order of the images' numbers.

    The ground truth has ILSVRC ids, whose order is not that of the WordNet ids; meta.mat maps them.

    Raises
    ------
    OSError: the archive is missing or cannot be read.
    DmixError: it is not the genuine archive. Its content needs no further check.
    """
    content = archive.read_bytes()
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if digest != MD5:
        raise DmixError(
            f"{archive} ({len(content)} bytes) is not the genuine archive: its md5 is {digest}, not {MD5}",
            way_out,
        )
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as kit:
        meta, truth = (kit.extractfile(name).read() for name in (META, GROUND_TRUTH))  # type: ignore[union-attr]
    synsets = loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
    # the classes have ids 1 to 1000, the inner nodes of the hierarchy higher ones
    wnids = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
    return [wnids[int(line)] for line in truth.split()]
