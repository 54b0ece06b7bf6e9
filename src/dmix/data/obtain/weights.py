"""Downloads pretrained weights by torchvision's own loader."""

from __future__ import annotations

import http.client
import sys
from pathlib import Path

from dmix.data.obtain import checksum
from dmix.data_items import File, Item
from dmix.errors import DmixError
from dmix.vision import torchvision

SCHEME = "torchvision:"  # of a source: prefix of an entry of torchvision's weights


def download(item: Item, file: File, folder: Path) -> Path:
    """Return the file in `folder`, downloaded unless it is there and whole.

    Raises
    ------
    DmixError: there is no connection, or what came is not the file.
    """
    target = folder / file.name
    if target.exists() and not checksum.matches(target, file):
        target.unlink()  # torchvision does not check a file that exists
    name = file.sources[0].removeprefix(SCHEME)
    try:
        entry = torchvision().models.get_weight(name)
        entry.get_state_dict(
            progress=sys.stderr.isatty(), check_hash=True, model_dir=str(folder), weights_only=True
        )
    except (OSError, http.client.HTTPException, RuntimeError, ValueError) as error:
        raise DmixError(
            f"cannot get {file.name} (torchvision's {name}): {error}",
            f"on a machine without a connection, copy it there and run: dmix data import {item.name} PATH",
            exit_code=1,
        ) from error
    checksum.check(target, file, f"remove it, then run: {item.command}")
    return target
