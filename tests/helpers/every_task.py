"""A smoke run of each task, and what its network has that those of the others lack."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from dmix.reading import SEAL, seal

SOURCE = "supervised/imagenet/resnet50/vanilla/ce/s0"
CUTMIX = "supervised/cifar10/resnet18/cutmix/dm_ce/s0"
AUTOMIX = "supervised/cifar100/resnet18/automix/dm_ce/s0"
CO_TUNING = "transfer/co_tuning/aircraft/resnet50/mixup/dm_ce/percent=50/s0"
FIXMATCH = "semi/fixmatch/cifar10/wrn28_2/mixup/dm_ce/count=20/s0"
DEIT = "supervised/imagenet/deit_small/cutmix/dm_ce/s0"
PREDICTIONS = {
    CUTMIX: ["model"],
    AUTOMIX: ["k_mix", "k_one", "q_mix", "q_one"],  # momentum copy and network, two heads each
    CO_TUNING: ["clean", "mixed", "clean_centre", "mixed_centre"],  # ten crops; a class relation
    FIXMATCH: ["clean", "mixed"],  # an average of the parameters
    DEIT: ["model"],  # a transformer; images on disk
}
RUNS = tuple(PREDICTIONS)


def weights_of(folder: Path) -> Path:
    """Return the weights of the run of a project whose record is in `folder`."""
    (place,) = (number for number, part in enumerate(folder.parts) if part == "records")
    return Path(*folder.parts[:place], "weights", *folder.parts[place + 1 :], "weights.safetensors")


def copied(folder: Path, target: Path) -> Path:
    """Copy all files of a run into one folder, as when they are sent to somebody."""
    shutil.copytree(folder, target)
    shutil.copy(weights_of(folder), target)
    return target


def edit(folder: Path, **changes: object) -> None:
    """Change fields of the record in `folder` and seal it anew, as whoever wants it to look whole."""
    path = folder / "record.json"
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({**values, SEAL: seal(values)}))


def fields(folder: Path) -> dict[str, object]:
    """Return the fields of the record in `folder`."""
    found: dict[str, object] = json.loads((folder / "record.json").read_text())
    return found
