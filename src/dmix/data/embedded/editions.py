"""The data that ship with dmix: small embedded editions, written in the genuine on-disk formats."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dmix.data.embedded import (
    cifar_write,
    finegrained_write,
    imagenet_write,
    masks,
    procedural,
    tiny_imagenet_write,
)
from dmix.data.sets import aircraft, cars, cifar_format, cub, imagenet, marker, tiny_imagenet
from dmix.data.sets.dataset import Split
from dmix.errors import DmixError
from dmix.files import publish_folder
from dmix.lock import held

VERSION = 2  # raise it whenever a writer's bytes change: older editions are then rewritten
CIFAR100_SEED = 20220101


@dataclass(frozen=True)
class Written:
    """What a writer reports for the marker."""

    source: str
    train: int
    test: int
    classes: int


@dataclass(frozen=True)
class Edition:
    """The folder of an embedded edition, and the function that fills it from empty."""

    folder: str
    write: Callable[[Path], Written]


def write_digits(folder: Path) -> Written:
    """Write 1,250 of scikit-learn's real digits in the layout of CIFAR-10: 100 train, 25 test a class."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    labels = np.asarray(bunch.target, np.int64)
    images = enlarge(np.asarray(bunch.images, np.int64), factor=4, top=16)
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(labels))
    rank = _rank_in_class(labels[order])
    first, next_ones = order[rank < 100], order[(rank >= 100) & (rank < 125)]
    train, test = Split(images[first], labels[first]), Split(images[next_ones], labels[next_ones])
    cifar_write.write_cifar10(folder, train, test, [str(digit) for digit in range(10)])
    return Written("the digits of scikit-learn, enlarged from 8 to 32 pixels", len(train), len(test), 10)


def write_procedural(folder: Path) -> Written:
    """Write the procedural set in the layout of CIFAR-100: 1,400 train, 400 test, and the masks."""
    classes, splits = 100, []
    for number, (name, each) in enumerate((("train", 14), ("test", 4))):
        seeds = np.random.SeedSequence([CIFAR100_SEED, number])
        rng = np.random.Generator(np.random.PCG64(seeds))
        labels = rng.permutation(np.repeat(np.arange(classes), each))
        images, found = procedural.render(labels, cifar_format.SIZE, classes, rng)
        masks.write(folder / f"masks_{name}.npy", found)
        splits.append(Split(images, labels))
    fine = [procedural.class_name(label) for label in range(classes)]
    groups = [f"group_{number:02d}" for number in range(20)]
    cifar_write.write_cifar100(folder, splits[0], splits[1], fine, groups)
    return Written("drawn by dmix: shapes with known masks", len(splits[0]), len(splits[1]), classes)


def write_tiny_imagenet(folder: Path) -> Written:
    """Write a procedural set in the layout of Tiny-ImageNet-200: 500 train, 200 val, and the masks."""
    tiny_imagenet_write.write_tiny_imagenet(folder)
    classes = tiny_imagenet_write.CLASSES
    train, val = classes * tiny_imagenet_write.TRAIN, classes * tiny_imagenet_write.VAL
    return Written("drawn by dmix: shapes with known masks", train, val, classes)


def write_imagenet(folder: Path) -> Written:
    """Write a procedural set in the class folders of ImageNet: 400 train, 100 val."""
    imagenet_write.write_imagenet(folder)
    classes = imagenet_write.CLASSES
    train, val = classes * imagenet_write.TRAIN, classes * imagenet_write.VAL
    return Written("drawn by dmix: shapes in pictures of many sizes", train, val, classes)


def _finegrained(write: Callable[[Path], None]) -> Callable[[Path], Written]:
    """Return a writer of a fine-grained set that also reports for the marker."""

    def report(folder: Path) -> Written:
        write(folder)
        classes, train = finegrained_write.CLASSES, finegrained_write.TRAIN + finegrained_write.VAL
        source = "drawn by dmix: shapes in landscape and portrait pictures of many sizes"
        return Written(source, classes * train, classes * finegrained_write.TEST, classes)

    return report


EDITIONS: dict[str, Edition] = {
    "cifar10": Edition(cifar_format.CIFAR10.folder, write_digits),
    "cifar100": Edition(cifar_format.CIFAR100.folder, write_procedural),
    "tiny_imagenet": Edition(tiny_imagenet.FOLDER, write_tiny_imagenet),
    "imagenet": Edition(imagenet.FOLDER, write_imagenet),
    "cub": Edition(cub.FOLDER, _finegrained(finegrained_write.write_cub)),
    "aircraft": Edition(aircraft.FOLDER, _finegrained(finegrained_write.write_aircraft)),
    "cars": Edition(cars.FOLDER, _finegrained(finegrained_write.write_cars)),
}


def embed(root: Path, names: Sequence[str] | None = None) -> list[Path]:
    """Write the named embedded editions (all by default) under `root/embedded`; complete ones stay.

    Every call writes the same bytes. An edition appears under its name only when it is complete.

    Returns
    -------
    The editions' folders, in the order of `names`.

    Raises
    ------
    DmixError: an unknown name, a folder that dmix did not write, or a disk that cannot be written.
    """
    wanted = list(EDITIONS) if names is None else list(names)
    for name in wanted:
        if name not in EDITIONS:
            raise DmixError(f"no embedded edition of {name!r}", f"there are: {', '.join(EDITIONS)}")
    place = root / "embedded"
    if all(_whole(place / EDITIONS[name].folder) for name in wanted):  # also on a disk that is read-only
        return [place / EDITIONS[name].folder for name in wanted]
    try:
        place.mkdir(parents=True, exist_ok=True)
        # One process at a time, so that a leftover temporary folder can be removed.
        with held(
            place / ".lock", lambda holder: print(f"waiting: {holder} writes embedded data", flush=True)
        ):
            return [_ensure(place, EDITIONS[name]) for name in wanted]
    except OSError as error:
        raise DmixError(
            f"cannot write {place}: {error.strerror or error}",
            f"make {place} writable and free 30 MB of disk space, then run the same command again",
            exit_code=1,
        ) from error


def _ensure(place: Path, edition: Edition) -> Path:
    target = place / edition.folder
    if _whole(target):
        return target
    if target.exists() and not (target / marker.NAME).exists():
        raise DmixError(
            f"{target} was not written by dmix (it has no {marker.NAME}) and is left as it is",
            "move it away, then run the same command again",
        )
    draft = place / f".{edition.folder}.part"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        written = edition.write(draft)
        marker.write(draft, written.source, VERSION, written.train, written.test, written.classes)
        if target.exists():
            shutil.rmtree(target)
        publish_folder(draft, target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return target


def _whole(folder: Path) -> bool:
    """Whether `folder` is an edition of this version with every file as its marker says."""
    try:
        return marker.check(folder).version == VERSION
    except DmixError:
        return False


def _rank_in_class(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return int64 (N,): how many earlier entries have the same label."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order], side="left")
    ranks = np.empty_like(labels)
    ranks[order] = np.arange(len(labels)) - starts
    return ranks


def enlarge(images: npt.NDArray[np.int64], factor: int, top: int) -> npt.NDArray[np.uint8]:
    """Enlarge int64 (N, S, S), 0..top, to uint8 (N, 3, factor*S, factor*S), bilinearly, in integers.

    Pixel centres are aligned, edges are repeated outwards, halves are rounded up; `top` becomes 255.
    """
    side = images.shape[-1]
    # twice `factor` times the source coordinate of every new pixel's centre
    twice = 2 * np.arange(side * factor) + 1 - factor
    low, weight = twice // (2 * factor), twice % (2 * factor)
    spread = np.zeros((side * factor, side), np.int64)
    rows = np.arange(side * factor)
    np.add.at(spread, (rows, low.clip(0, side - 1)), 2 * factor - weight)
    np.add.at(spread, (rows, (low + 1).clip(0, side - 1)), weight)
    total = spread @ images @ spread.T
    whole = top * (2 * factor) ** 2
    grey = ((2 * 255 * total + whole) // (2 * whole)).astype(np.uint8)
    return np.repeat(grey[:, None], 3, axis=1)
