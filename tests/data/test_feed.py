"""Which loader feeds a run, and that keeping resized images changes no pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from disk_images import write_images
from dmix.data.augment.crop_flip import CropFlip
from dmix.data.augment.identity import Identity
from dmix.data.augment.rand_augment import RandAugment
from dmix.data.augment.random_resized_crop import RandomResizedCrop
from dmix.data.loading.feed import ReadOptions, evaluation, train_loader
from dmix.data.loading.loader import EvaluationSet, ResidentLoader
from dmix.data.loading.stream import StreamEvaluation, StreamLoader
from dmix.data.sets.dataset import Split
from dmix.data.views.resize_crop import ResizeCrop
from dmix.data.views.unchanged import Unchanged
from dmix.errors import DmixError
from dmix.grid import parts

torch.set_num_threads(1)
FEED = {"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2), "device": torch.device("cpu"), "batch_size": 3}
CROP = {"size": 8, "interpolation": "bilinear", "scale": (0.5, 1.0), "flip": 0.5}
VIEW = ResizeCrop(shorter_side=12, size=8, interpolation="bilinear")


@pytest.fixture
def on_disk(tmp_path):
    return write_images(tmp_path / "images", 7)


@pytest.fixture
def in_memory():
    rng = np.random.default_rng(0)
    return Split(rng.integers(0, 256, (7, 3, 8, 8), np.uint8), rng.integers(0, 7, 7))


def test_images_in_memory_are_resident(in_memory):
    for augment in (CropFlip(padding=2, flip=0.5), Identity(), RandomResizedCrop(**CROP)):
        found = train_loader(in_memory, augment, ReadOptions(), seed=3, **FEED)
        assert isinstance(found, ResidentLoader)
        expected = ResidentLoader(in_memory, augment, seed=3, **FEED).batch(1)
        assert torch.equal(found.batch(1).images, expected.images)
        own = train_loader(in_memory, augment, ReadOptions(), seed=3, rows=slice(1, 3), **FEED).batch(1)
        assert torch.equal(own.images, expected.images[1:])
        assert torch.equal(own.labels, expected.labels[1:])
        assert torch.equal(own.index, expected.index[1:])
    found = evaluation(in_memory, Unchanged(), ReadOptions(), **FEED)
    assert isinstance(found, EvaluationSet)
    whole = list(found)
    own = list(evaluation(in_memory, Unchanged(), ReadOptions(), share=slice(1, None, 2), **FEED))
    assert len(whole) == len(found) == 3
    assert len(own) == 1
    assert torch.equal(own[0][0], whole[1][0])
    assert torch.equal(own[0][1], whole[1][1])


@pytest.mark.parametrize("workers", [0, 2])
def test_images_on_disk_are_streamed_and_keeping_them_changes_nothing(on_disk, tmp_path, workers):
    augment = RandomResizedCrop(shorter_side=12, **CROP)
    loaders, readings = [], []
    for options in (ReadOptions(), ReadOptions(workers), ReadOptions(workers, tmp_path / "cache")):
        loaders.append(train_loader(on_disk, augment, options, seed=3, **FEED))
        readings.append(evaluation(on_disk, VIEW, options, **FEED))
        assert isinstance(loaders[-1], StreamLoader)
        assert isinstance(readings[-1], StreamEvaluation)
    assert len(list((tmp_path / "cache").glob("*.bin"))) == 1  # both begin with the same resize
    expected = StreamLoader(on_disk, augment, seed=3, workers=0, **FEED).batch(3)
    for loader in loaders:
        assert torch.equal(loader.batch(3).images, expected.images)
    first = list(readings[0])
    for reading in readings[1:]:
        for (images, labels), (others, other_labels) in zip(first, reading, strict=True):
            assert torch.equal(images, others)
            assert torch.equal(labels, other_labels)


def test_shares_reach_the_streams(on_disk):
    augment = RandomResizedCrop(**CROP)
    whole = train_loader(on_disk, augment, ReadOptions(), seed=3, **FEED).batch(0)
    own = train_loader(on_disk, augment, ReadOptions(), seed=3, rows=slice(2, 3), **FEED).batch(0)
    assert torch.equal(own.images, whole.images[2:])
    assert len(evaluation(on_disk, VIEW, ReadOptions(), share=slice(0, None, 2), **FEED)) == 2


def test_nothing_is_kept_where_there_is_no_first_resize(on_disk, tmp_path):
    options = ReadOptions(0, tmp_path / "cache")
    train_loader(on_disk, RandomResizedCrop(**CROP), options, seed=3, **FEED).batch(0)
    list(evaluation(write_images(tmp_path / "one", 1), Unchanged(), options, **FEED))
    assert not (tmp_path / "cache").exists()


def test_a_transform_without_the_form_is_an_error(in_memory, on_disk):
    rand_augment = RandAugment(operations=2, magnitude=9, magnitude_std=0.5, **CROP)
    with pytest.raises(DmixError, match="augmentation rand_augment is not for images in memory"):
        train_loader(in_memory, rand_augment, ReadOptions(), seed=3, **FEED)
    with pytest.raises(DmixError, match="augmentation crop_flip is not for images on disk"):
        train_loader(on_disk, CropFlip(padding=1, flip=0.5), ReadOptions(), seed=3, **FEED)
    with pytest.raises(DmixError, match="test-time transform resize_crop is not for images in memory"):
        evaluation(in_memory, VIEW, ReadOptions(), **FEED)


def test_test_time_transforms_are_parts():
    assert parts.read_part("view", "unchanged").model.model_fields == {}
    part = parts.read_part("view", "resize_crop")
    assert set(part.model.model_fields) == {"shorter_side", "size", "interpolation"}
    assert part.neutral == {}
