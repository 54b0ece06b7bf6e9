"""What every test-time transform must keep to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dmix.engine.parts import load_part
from every_part import cases

SHAPES = [(40, 52), (52, 40), (24, 24)]


@pytest.fixture(params=cases("view"))
def view(request):
    return load_part("view", request.param[0])


def image(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_image_becomes_one_image_and_is_not_changed(view, shape):
    seen = image(shape)
    before = seen.copy()
    found = view(seen)
    assert np.array_equal(seen, before)
    assert found.dtype == np.uint8
    assert found.ndim == 3
    assert found.shape[2] == 3
    assert np.array_equal(found, view(seen))


def test_images_of_all_shapes_become_one_square(view):
    if view.first_resize is None:
        pytest.skip("it leaves the size of images alone")
    sizes = {view(image(shape)).shape[:2] for shape in SHAPES}
    assert len(sizes) == 1
    assert len(set(sizes.pop())) == 1


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_first_resize_is_idempotent_so_that_it_can_be_cached(view, shape):
    if view.first_resize is None:
        pytest.skip("it begins with no resize")
    once = view.first_resize(image(shape))
    assert np.array_equal(view.first_resize(once), once)
    assert np.array_equal(view(once), view(image(shape)))
    assert view.first_resize.label


def made(view):
    """Four images as the view makes them, normalised."""
    stack = np.stack([view(image((32, 32), seed)) for seed in range(4)])
    return torch.from_numpy(stack).permute(0, 3, 1, 2) / 127.5 - 1


def test_crops_are_parts_of_the_images_which_are_not_changed(view):
    images = made(view)
    before = images.clone()
    crops = [crop.clone() for crop in view.crops(images)]
    assert torch.equal(images, before)
    assert 0 <= view.centre < len(crops)
    assert len({crop.shape for crop in crops}) == 1
    for crop in crops:
        assert crop.shape[:2] == (4, 3)
        assert crop.dtype == images.dtype
        assert set(crop.unique().tolist()) <= set(images.unique().tolist())
    for one, other in zip(crops, view.crops(images), strict=True):
        assert torch.equal(one, other)


def test_the_number_of_crops_does_not_depend_on_the_batch(view):
    images = made(view)
    assert len(list(view.crops(images))) == len(list(view.crops(images[:1])))


def test_no_value_is_read_back_from_the_device(view):
    images = made(view)
    shapes = [crop.shape for crop in view.crops(images)]
    assert [crop.shape for crop in view.crops(images.to("meta"))] == shapes
