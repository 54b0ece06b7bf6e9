"""Smaller training sets: which images a share takes, and that supervised training sees these alone."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from test_splits import dataset, names_of, shuffled, toy_rows

from disk_images import write_images
from dmix.data.augment.crop_flip import CropFlip
from dmix.data.augment.random_resized_crop import RandomResizedCrop
from dmix.data.labels.label_split import LabelSplit
from dmix.data.labels.share import share
from dmix.data.labels.splits import digest_of
from dmix.data.loading.feed import ReadOptions
from dmix.data.sets.dataset import Dataset, FileSplit, Split
from dmix.engine.method import Feeding, Ingredients
from dmix.errors import DmixError
from dmix.grid.parts import read_part
from dmix.methods.supervised_share import SupervisedShare
from dmix.objectives.mce import mce
from dmix.policies.mixup import Mixup
from small_runs import CPU, differences, make_task, norm_free, recipe, trainer_of
from small_runs import split as small_split

SIZES = (29, 30, 24)
GOLDEN = [0, 3, 10, 11, 14, 15]  # a quarter of 20 images of two classes in turn
PERCENTS = (1, 10, 25, 50, 99, 100)


def in_memory(labels, classes=3):
    labels = np.asarray(labels, np.int64)
    train = Split(np.zeros((len(labels), 3, 1, 1), np.uint8), labels)
    test = Split(np.zeros((1, 3, 1, 1), np.uint8), np.zeros(1, np.int64))
    return Dataset("cifar", "embedded", classes, {"train": train, "test": test})


MEMORY = in_memory(np.random.default_rng(2).permutation(np.repeat([0, 1, 2], SIZES)))
KINDS = {"files": dataset(shuffled(toy_rows(SIZES)), name="toy"), "memory": MEMORY}


def naive(data, seed, percent):
    """Class by class, sort the names by the SHA-256 of "<set>|<seed>|<name>" and take the first ones."""
    train, found = data.splits["train"], []
    for label in range(data.classes):
        rows = [int(row) for row in np.flatnonzero(train.labels == label)]
        files = isinstance(train, FileSplit)
        name = {row: train.files.names[row] if files else f"train/{row:06d}" for row in rows}
        rows.sort(key=lambda row: hashlib.sha256(f"{data.name}|{seed}|{name[row]}".encode()).hexdigest())
        found += rows[: math.ceil(Fraction(percent * len(rows), 100))]
    return sorted(found)


# --- which images --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("percent", PERCENTS)
def test_a_share_is_the_naive_draw_of_each_class(kind, percent):
    data = KINDS[kind]
    train = data.splits["train"]
    found = share(data, 3, percent=percent)
    assert found.labelled.tolist() == naive(data, 3, percent)
    kept = np.bincount(train.labels[found.labelled], minlength=3).tolist()
    assert kept == [math.ceil(Fraction(percent * n, 100)) for n in SIZES]
    rest = sorted(set(range(len(train))) - set(found.labelled.tolist()))
    assert found.unlabelled.tolist() == rest
    assert found.labelled.dtype == found.unlabelled.dtype == np.int64
    assert found.digest == digest_of(found.names)


def test_a_share_of_pixels_in_memory_is_the_same_as_ever():
    """Written down, so that no change of the rule moves the images of finished runs."""
    assert share(in_memory(np.arange(20) % 2, 2), 0, percent=25).labelled.tolist() == GOLDEN


@pytest.mark.parametrize("kind", KINDS)
def test_shares_are_nested_and_every_seed_has_its_own(kind):
    for seed in range(3):
        drawn = [set(share(KINDS[kind], seed, percent=percent).names) for percent in PERCENTS]
        assert all(fewer <= more for fewer, more in pairwise(drawn))
        assert len(drawn[0]) < len(drawn[1]) < len(drawn[2]) < len(drawn[3])
        assert len(drawn[-1]) == sum(SIZES)
    assert len({share(KINDS[kind], seed, percent=25).digest for seed in range(3)}) == 3
    assert share(KINDS[kind], 1, percent=25).digest == share(KINDS[kind], 1, percent=25).digest


def test_a_share_does_not_depend_on_the_order_of_the_files():
    one, other = dataset(toy_rows(SIZES)), dataset(shuffled(toy_rows(SIZES), 5))
    for percent in PERCENTS:
        a, b = (share(data, 1, percent=percent) for data in (one, other))
        assert a.names == b.names
        assert sorted(names_of(one, a.labelled)) == sorted(names_of(other, b.labelled))


def test_a_class_without_images_is_named():
    with pytest.raises(DmixError, match="class 1 of cifar has no training image"):
        share(in_memory([0, 0, 2, 2]), 0, percent=50)


@pytest.mark.parametrize("percent", [0, 101, 2.5])
def test_percent_is_checked(percent):
    model = read_part("labels", "share").model
    assert model(percent=1)
    with pytest.raises(ValidationError):
        model(percent=percent)


# --- training on them ----------------------------------------------------------------------------------


def feeding(split, labels, augment):
    settings = recipe(batch_size=4)
    return Feeding(split, labels, {"augment": augment}, settings, 3, ReadOptions(), CPU, slice(None))


def make_share():
    """The method, with the initial weights of `make_task`."""
    policy, model = Mixup(alpha=1.0), norm_free()
    with torch.random.fork_rng():
        torch.manual_seed(2)
        policy.attach(model)
    return SupervisedShare(Ingredients(model, policy, mce, pixels=lambda images: images / 4 + 0.5))


def chosen(rows, n):
    rows = np.asarray(rows, np.int64)
    return LabelSplit(rows, np.setdiff1d(np.arange(n), rows), (), "")


def test_only_the_chosen_images_are_in_memory_and_each_once_an_epoch():
    split, rows = small_split(24), [1, 2, 5, 7, 11, 13, 17, 23]
    distinct = np.arange(24, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 8, 8), np.uint8)
    given = feeding(Split(distinct, split.labels), chosen(rows, 24), CropFlip(padding=0, flip=0.0))
    loader = make_share().loader(given)
    assert loader.steps_per_epoch == 2
    for epoch in range(3):
        batches = [loader.batch(2 * epoch + step) for step in range(2)]
        images = torch.cat([batch.images for batch in batches])
        seen = (images[:, 0, 0, 0] * 0.25 + 0.5).mul(255).round().long()
        assert sorted(seen.tolist()) == rows
        assert torch.cat([batch.labels for batch in batches]).tolist() == split.labels[seen].tolist()


def test_the_whole_share_trains_bit_for_bit_as_supervised():
    split = small_split(24)
    data = Dataset("toy", "embedded", 5, {"train": split, "test": split})
    settings = recipe()
    ends = []
    for task, labels in (
        (make_task(policy=Mixup(alpha=1.0)), None),
        (make_share(), share(data, 0, percent=100)),
        (make_share(), share(data, 0, percent=50)),
    ):
        given = replace(feeding(split, labels, CropFlip(padding=1, flip=0.5)), recipe=settings)
        trainer = trainer_of(task, task.loader(given), [], settings, 3, label="small")
        for _ in range(2 * 3):
            trainer.train_step()
        ends.append(trainer.method.state_dict())
    whole, everything, half = ends
    assert differences(whole, everything) == []
    assert differences(whole, half) != []


def test_files_are_read_by_the_chosen_names_alone(tmp_path):
    files = write_images(tmp_path, 23)
    rows = np.array([3, 4, 8, 15, 16, 22])
    crop = RandomResizedCrop(size=8, scale=(0.5, 1.0), interpolation="bilinear", flip=0.5)
    some = make_share().loader(feeding(files, chosen(rows, 23), crop))
    assert some.steps_per_epoch == 1
    every = make_share().loader(feeding(files, chosen(np.arange(23), 23), crop))
    plain = make_task().loader(feeding(files, None, crop))
    for step in range(every.steps_per_epoch):
        assert torch.equal(every.batch(step).images, plain.batch(step).images)
        assert torch.equal(every.batch(step).labels, plain.batch(step).labels)
    for path in tmp_path.iterdir():
        if int(path.stem) not in rows:
            path.unlink()
    for epoch in range(3):
        batch = some.batch(epoch)
        assert batch.labels.tolist() == files.labels[rows[batch.index]].tolist()


def test_without_labels_it_says_what_to_set():
    with pytest.raises(DmixError, match="supervised_share trains on the images") as caught:
        make_share().loader(feeding(small_split(24), None, CropFlip(padding=0, flip=0.0)))
    assert "labels.use: share" in caught.value.way_out


def test_fewer_images_than_a_batch_are_refused():
    with pytest.raises(DmixError, match="batch_size is 4, but the train split holds 3 images"):
        make_share().loader(feeding(small_split(24), chosen([0, 1, 2], 24), CropFlip(padding=0, flip=0.0)))
