"""Small splits are decoded once, large ones as often as they are read; batches are the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dmix.data.augment.random_resized_crop import RandomResizedCrop
from dmix.data.loading.kept import Kept
from dmix.data.loading.stream import StreamEvaluation, StreamLoader
from dmix.data.views.resize_crop import ResizeCrop

FEED = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.3), "device": torch.device("cpu"), "workers": 0}
CROP = RandomResizedCrop(size=8, scale=(0.08, 1.0), interpolation="bicubic", flip=0.5)
VIEW = ResizeCrop(shorter_side=12, size=8, interpolation="bilinear")
BYTES = 4 * 5 * 3


class Images:
    """Twelve images of noise, which are counted when they are read."""

    labels = np.arange(12) % 3

    def __init__(self) -> None:
        self.read: list[int] = []

    def __len__(self) -> int:
        return 12

    def image(self, index: int) -> np.ndarray:
        self.read.append(index)
        return np.random.default_rng(index).integers(256, size=(4, 5, 3), dtype=np.uint8)


def test_each_image_is_made_once():
    images = Images()
    one = Kept(images.image)
    found = [one(index) for index in (3, 1, 3, 3, 1)]
    assert images.read == [3, 1]
    for image, index in zip(found, (3, 1, 3, 3, 1), strict=True):
        assert np.array_equal(image, Images().image(index))


def test_all_are_dropped_once_they_are_too_large_together():
    images = Images()
    one = Kept(images.image, most=3 * BYTES)
    for index in (0, 1, 2, 0, 1, 2):
        one(index)
    assert images.read == [0, 1, 2]
    for index in (3, 0, 0, 3):
        assert np.array_equal(one(index), Images().image(index))
    assert images.read == [0, 1, 2, 3, 0, 0, 3]


def test_a_kept_image_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        Kept(Images().image)(0)[0, 0, 0] = 1


def test_batches_of_later_epochs_are_the_same_with_and_without(monkeypatch):
    def batches() -> tuple[Images, list[torch.Tensor]]:
        images = Images()
        loader = StreamLoader(images, CROP, batch_size=4, seed=1, **FEED)
        return images, [loader.batch(step).images for step in range(9)]

    few, here = batches()
    monkeypatch.setattr(Kept.__init__, "__defaults__", (0,))
    many, there = batches()
    assert len(few.read) == 12
    assert len(many.read) > 12
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one, other)


def test_evaluations_are_the_same_with_and_without(monkeypatch):
    def evaluations() -> tuple[Images, list[torch.Tensor]]:
        images = Images()
        batches = StreamEvaluation(images, VIEW, batch_size=5, **FEED)
        return images, [found for _ in range(3) for found, _ in batches]

    few, here = evaluations()
    monkeypatch.setattr(Kept.__init__, "__defaults__", (0,))
    many, there = evaluations()
    assert (len(few.read), len(many.read)) == (12, 36)
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one, other)
