"""What every augmentation must keep to, in memory, on disk, or both.

The strong ones are parts of the same folder.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dmix.data.augment.contract import Augment, ImageAugment
from dmix.engine.parts import load_part
from every_part import cases
from values import allow_meta, numpy_state

N, SHAPE = 6, (16, 16)
ON_THE_HOST = {"strong_pillow": "it is Pillow's, the reference for `strong`"}
"""The augmentations that read images back from the device, and why they must."""


@pytest.fixture(params=cases("augment"))
def settings(request):
    return request.param[0]


@pytest.fixture
def augment(settings):
    return load_part("augment", settings)


@pytest.fixture
def in_memory(augment):
    if not isinstance(augment, Augment):
        pytest.skip("it is for images on disk")
    return augment


@pytest.fixture
def on_disk(augment):
    if not isinstance(augment, ImageAugment):
        pytest.skip("it is for images in memory")
    return augment


def rng(seed=0):
    return np.random.default_rng(seed)


def images():
    return torch.from_numpy(rng(1).integers(0, 256, (N, 3, *SHAPE), np.uint8))


def image(shape):
    return rng(2).integers(0, 256, (*shape, 3), np.uint8)


def test_it_has_one_form_at_least(augment):
    assert isinstance(augment, Augment | ImageAugment)


def test_equal_generators_make_equal_draws(in_memory):
    one, other = (in_memory.draw(N, SHAPE, rng(4)) for _ in range(2))
    assert one.shape[0] == N
    assert one.ndim == 2
    assert one.dtype == other.dtype
    assert np.array_equal(one, other)


def test_a_batch_is_augmented_by_its_draws_alone(in_memory):
    given = images()
    draws = torch.from_numpy(in_memory.draw(N, SHAPE, rng()))
    before = given.clone(), draws.clone()
    found = in_memory.apply(given, draws)
    assert torch.equal(given, before[0])
    assert torch.equal(draws, before[1])
    assert found.dtype == torch.uint8
    assert found.shape[:2] == (N, 3)
    assert torch.equal(in_memory.apply(given, draws), found)


def test_rows_of_a_batch_do_not_see_each_other(in_memory):
    given, draws = images(), torch.from_numpy(in_memory.draw(N, SHAPE, rng()))
    whole = in_memory.apply(given, draws)
    for row in range(N):
        assert torch.equal(in_memory.apply(given[row : row + 1], draws[row : row + 1])[0], whole[row])


def test_no_value_is_read_back_from_the_device(settings, in_memory, monkeypatch):
    given, draws = images(), torch.from_numpy(in_memory.draw(N, SHAPE, rng()))
    allow_meta(monkeypatch)
    if settings["use"] in ON_THE_HOST:
        with pytest.raises((RuntimeError, NotImplementedError)):
            in_memory.apply(given.to("meta"), draws.to("meta"))
        return
    found = in_memory.apply(given.to("meta"), draws.to("meta"))
    assert found.shape == in_memory.apply(given, draws).shape


@pytest.mark.parametrize("shape", [(40, 52), (52, 40), (33, 33)], ids=str)
def test_an_image_is_augmented_by_its_generator_alone(on_disk, shape):
    given = image(shape)
    before = given.copy()
    for seed in range(8):
        found = on_disk(given, rng(seed))
        assert np.array_equal(given, before)
        assert found.dtype == np.uint8
        assert found.ndim == 3
        assert found.shape[0] == found.shape[1]
        assert found.shape[2] == 3
        assert np.array_equal(on_disk(given, rng(seed)), found)


def test_global_generators_are_left_alone(on_disk):
    torch.manual_seed(0)
    states = numpy_state(), torch.get_rng_state()
    on_disk(image((40, 52)), rng())
    assert np.array_equal(numpy_state(), states[0])
    assert torch.equal(torch.get_rng_state(), states[1])


def test_images_of_all_shapes_become_one_size(on_disk):
    assert len({on_disk(image(shape), rng(1)).shape for shape in ((40, 52), (52, 40), (33, 33))}) == 1


def test_the_first_resize_is_idempotent_so_that_it_can_be_cached(on_disk):
    if on_disk.first_resize is None:
        pytest.skip("it begins with no resize")
    given = image((40, 52))
    once = on_disk.first_resize(given)
    assert np.array_equal(on_disk.first_resize(once), once)
    assert np.array_equal(on_disk(once, rng(3)), on_disk(given, rng(3)))
