"""Evaluates the weights of a finished run on other images of its classes, in a folder for each class."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dmix.data.loading import feed
from dmix.data.sets.block_means import block_means
from dmix.data.sets.class_folders import ENDINGS
from dmix.data.sets.class_names import class_names
from dmix.data.sets.dataset import AnySplit, Dataset, FileSplit, Split
from dmix.data.sets.image_files import LooseFiles
from dmix.data.sets.leftovers import is_leftover
from dmix.data.views.resize_crop import ResizeCrop
from dmix.engine.assemble import EVALUATION_PIXELS
from dmix.engine.device import choose_device
from dmix.engine.parts import load_part
from dmix.errors import DmixError
from dmix.grid.paths import DATA
from dmix.grid.rebuilt import rebuilt
from dmix.job import facts
from dmix.job.accuracies import accuracies
from dmix.job.evaluate import data_of
from dmix.job.options import Options, read_options
from dmix.job.placed import placed
from dmix.job.restored import restored
from dmix.job.run_files import RunFiles, record_of, weights_of
from dmix.job.say import say

SHOWN = 5
LAYOUT = "give a folder with one folder of images for each class: FOLDER/<class>/<image>"


def elsewhere(files: RunFiles, folder: Path, options: Options) -> int:
    """Evaluate a run on the images in `folder`, print the accuracies, and return 0.

    The recipe's test-time view is applied. Images of a data set that is kept in memory are brought to the
    side of its images: by block means where they are square and a multiple of it, as the data set's own are,
    else by a bicubic resize of the shorter side and a crop of the centre. A prediction may be any class of
    the network's.

    Raises
    ------
    DmixError: a file of the run is missing or damaged, its data are not here, or the folder is of other
        classes.
    """
    record = record_of(files)
    spec, weights = rebuilt(record.name, record.spec), weights_of(files, record)
    facts.note()
    with placed(options, record.name) as here:
        device = choose_device(here.device)
        dataset, reading = data_of(spec, record), read_options(here, device)
        found = find_images(folder, class_names(dataset, spec.settings["dataset"], DATA))
        trainer = restored(spec, dataset, device, reading, weights)
        split = _like(found.split, dataset)
        recipe, view = spec.settings["recipe"], spec.settings["view"]
        batches = feed.evaluation(
            split,
            load_part("view", view),
            feed.ReadOptions(reading.workers),  # each image is read once, which no cache makes faster
            batch_size=max(1, EVALUATION_PIXELS // (view.get("size") or _side(split)) ** 2),
            mean=recipe["mean"],
            std=recipe["std"],
            device=device,
        )
        measured = accuracies(trainer.method, batches)
    say(
        f"{record.name} on {folder}: {len(split)} images of {found.classes - len(found.missing)} of "
        f"{found.classes} classes, on {device.type}"
    )
    width = max(len("prediction"), *(len(name) for name in measured))
    say(f"  {'prediction':<{width}}   top-1   top-5")
    for name, one in measured.items():
        say(f"  {name:<{width}}  {one.top1:6.2f}  {one.top5:6.2f}")
    if found.missing:
        say(f"  without images: {_listed(found.missing)}")
    if found.unknown:
        say(f"  left out, of no class: {_listed(found.unknown)}")
    return 0


@dataclass(frozen=True)
class Images:
    """The images found in a folder.

    Attributes
    ----------
    split: in the order of labels, then of file names. classes: of the data set.
    missing: classes without a folder. unknown: folders of no class.
    """

    split: FileSplit
    classes: int
    missing: tuple[str, ...]
    unknown: tuple[str, ...]


def find_images(folder: Path, names: Sequence[str]) -> Images:
    """Return the images in the folders `folder`/<class>, labelled by the classes' names.

    A folder is of a class if their letters and digits are the same, whatever their case, and whatever is
    between them: the folder F-A-18 is of the class F/A-18, because no folder can have that name. Hidden files
    and their like are passed over (`leftovers`), and so are files beside the folders.

    Raises
    ------
    DmixError: there is no such folder, none is of a class, two are of one, or one has a file that is no
        image.
    """
    if not folder.is_dir():
        raise DmixError(f"there is no folder {folder}", LAYOUT)
    labels = _keys(names)
    rows: list[tuple[int, str]] = []
    owner: dict[int, str] = {}
    unknown = []
    for place in sorted(folder.iterdir()):
        if is_leftover(place.name) or not place.is_dir():
            continue
        label = labels.get(place.name, labels.get(_key(place.name)))
        if label is None:
            unknown.append(place.name)
            continue
        if label in owner:
            raise DmixError(f"{folder}: {owner[label]} and {place.name} are both of {names[label]}", LAYOUT)
        owner[label] = place.name
        images = [path for path in sorted(place.iterdir()) if not is_leftover(path.name)]
        for path in images:
            if path.suffix.lower() not in ENDINGS or not path.is_file():
                raise DmixError(f"{path} is no image: those end in {', '.join(ENDINGS)}", LAYOUT)
        if not images:
            raise DmixError(f"{place} holds no images", LAYOUT)
        rows += [(label, f"{place.name}/{path.name}") for path in images]
    if not rows:
        some = f"; it has {_listed(unknown)}" if unknown else ""
        raise DmixError(
            f"{folder} has no folder of a class{some}, and the classes are {_listed(names)}", LAYOUT
        )
    rows.sort()
    files = LooseFiles(folder, tuple(name for _, name in rows))
    split = FileSplit(files, np.array([label for label, _ in rows], np.int64))
    missing = tuple(name for label, name in enumerate(names) if label not in owner)
    return Images(split, len(names), missing, tuple(unknown))


def _keys(names: Sequence[str]) -> Mapping[str, int]:
    """Return name, and key where no two names share it, -> label."""
    keys = [_key(name) for name in names]
    alone = {key: label for label, key in enumerate(keys) if keys.count(key) == 1}
    return {**alone, **{name: label for label, name in enumerate(names)}}


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name.casefold()).strip()


def _like(split: FileSplit, dataset: Dataset) -> AnySplit:
    """Return the images in memory, of the size of the data set's own, where those are in memory."""
    own = dataset.splits["test"]
    if not isinstance(own, Split):
        return split
    side = own.images.shape[-1]
    fit = ResizeCrop(shorter_side=side, size=side, interpolation="bicubic")
    images = np.empty((len(split), 3, side, side), np.uint8)
    for index in range(len(split)):
        pixels = split.image(index)
        height, width = pixels.shape[:2]
        if height == width and height % side == 0:
            images[index] = block_means(pixels.transpose(2, 0, 1)[None], side)[0]
        else:
            images[index] = fit(pixels).transpose(2, 0, 1)
    return Split(images, split.labels)


def _side(split: AnySplit) -> int:
    return int(split.images.shape[-1]) if isinstance(split, Split) else max(split.image(0).shape[:2])


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
