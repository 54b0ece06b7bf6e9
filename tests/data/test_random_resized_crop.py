"""Random resized crops: boxes against torchvision's, pixels in memory against one image at a time."""

from __future__ import annotations

import math

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dmix import vision
from dmix.data.augment.contract import Augment, ImageAugment
from dmix.data.augment.crop_box import draw_box, draw_boxes
from dmix.data.augment.random_resized_crop import RandomResizedCrop
from dmix.data.augment.resample import weights
from dmix.data.augment.resize import ShorterSide, resize
from dmix.data.loading.loader import ResidentLoader
from dmix.data.sets.dataset import Split
from dmix.errors import DmixError
from dmix.grid.parts import read_part

vision.torchvision()
from torchvision import transforms  # noqa: E402
from torchvision.transforms.v2 import functional  # noqa: E402

torch.set_num_threads(1)
MODES = transforms.InterpolationMode
SHAPES = ((64, 64), (9, 14), (20, 7))


def augmentation(**changes) -> RandomResizedCrop:
    values = {"size": 8, "scale": (0.08, 1.0), "interpolation": "bicubic", "flip": 0.5}
    return RandomResizedCrop(**{**values, **changes})


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(np.array([0, 3, 100, 252, 255], np.uint8), shape)


def torchvision_boxes(n: int, shape: tuple[int, int], scale: tuple[float, float]) -> np.ndarray:
    torch.manual_seed(0)
    image = torch.empty(3, *shape)
    found = [transforms.RandomResizedCrop.get_params(image, scale, (3 / 4, 4 / 3)) for _ in range(n)]
    return np.array(found)


# --- boxes ---------------------------------------------------------------------------------------------


def naive_box(shape, scale, area_shares, ratios) -> tuple[int, int] | None:
    """Height and width of the first of ten attempts that fits."""
    height, width = shape
    for share, ratio in zip(area_shares, ratios, strict=True):
        area = share * height * width
        wide, tall = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < tall <= height:
            return tall, wide
    return None


@pytest.mark.parametrize("shape", [*SHAPES, (3, 5)])
@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.5, 1.0), (0.001, 0.01)])
def test_a_box_is_the_first_attempt_that_fits(shape, scale):
    n = 300
    boxes = draw_boxes(n, shape, scale, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    shares = rng.uniform(*scale, (n, 10))
    ratios = np.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3), (n, 10)))
    found = 0
    for (top, left, tall, wide), share, ratio in zip(boxes.tolist(), shares, ratios, strict=True):
        expected = naive_box(shape, scale, share, ratio)
        if expected:
            found += 1
            assert (tall, wide) == expected
        assert 0 <= top <= shape[0] - tall
        assert 0 <= left <= shape[1] - wide
        assert tall > 0
        assert wide > 0
    assert found > 0 or scale == (0.001, 0.01)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.5, 1.0)])
def test_boxes_are_distributed_as_torchvisions(shape, scale):
    ours = draw_boxes(20000, shape, scale, np.random.default_rng(0))
    theirs = torchvision_boxes(3000, shape, scale)
    for column in range(4):
        assert stats.ks_2samp(ours[:, column], theirs[:, column]).pvalue > 1e-4
    # places within the room that the box leaves, and shape and size together
    for of in (
        lambda b: b[:, 0] / np.maximum(shape[0] - b[:, 2], 1),
        lambda b: b[:, 1] / np.maximum(shape[1] - b[:, 3], 1),
        lambda b: b[:, 2] * b[:, 3],
        lambda b: b[:, 2] / b[:, 3],
    ):
        assert stats.ks_2samp(of(ours), of(theirs)).pvalue > 1e-4


@pytest.mark.parametrize("shape", [(3, 30), (30, 3), (4, 4), (7, 9), (29, 40), (40, 29), (10, 15)])
def test_where_nothing_fits_the_box_is_torchvisions_central_one(shape):
    scale = (5.0, 5.0)  # larger than the image: no attempt fits
    expected = torchvision_boxes(1, shape, scale)
    np.testing.assert_array_equal(draw_boxes(2, shape, scale, np.random.default_rng(0)), [*expected] * 2)


@pytest.mark.parametrize("shape", [*SHAPES, (1, 1), (1, 9), (40, 57), (3, 30)])
@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.5, 1.0), (1.0, 1.0), (0.001, 0.01), (5.0, 5.0)])
def test_one_box_is_that_of_many_and_leaves_the_generator_where_it_does(shape, scale):
    for seed in range(100):
        alone, together = np.random.default_rng(seed), np.random.default_rng(seed)
        assert [*draw_box(shape, scale, alone)] == draw_boxes(1, shape, scale, together)[0].tolist()
        assert alone.random() == together.random()


def test_every_place_of_a_box_occurs_evenly():
    boxes = draw_boxes(30000, (16, 16), (0.25, 0.25), np.random.default_rng(0))
    square = boxes[(boxes[:, 2] == 8) & (boxes[:, 3] == 8)]
    for axis in (0, 1):
        counts = np.bincount(square[:, axis], minlength=9)
        assert len(counts) == 9
        assert stats.chisquare(counts).pvalue > 1e-4


# --- pixels --------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(2, 20), st.integers(2, 20)),
    size=st.integers(1, 24),
    scale=st.sampled_from([(0.05, 1.0), (0.5, 1.0), (1.0, 1.0)]),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    flip=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 2**32),
)
def test_a_batch_in_memory_has_the_pixels_of_one_image_at_a_time(
    shape, size, scale, interpolation, flip, seed
):
    augment = augmentation(size=size, scale=scale, interpolation=interpolation, flip=flip)
    images = noise(4, 3, *shape, seed=seed)
    seeds = range(seed, seed + 4)
    draws = np.concatenate([augment.draw(1, shape, np.random.default_rng(s)) for s in seeds])

    found = augment.apply(torch.from_numpy(images), torch.from_numpy(draws))

    assert found.dtype == torch.uint8
    assert found.shape == (4, 3, size, size)
    for image, result, s in zip(images, found.numpy(), seeds, strict=True):
        alone = augment(np.ascontiguousarray(image.transpose(1, 2, 0)), np.random.default_rng(s))
        assert alone.dtype == np.uint8
        np.testing.assert_array_equal(result, alone.transpose(2, 0, 1))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [5, 64, 100])
def test_weights_are_those_of_torchvisions_antialiased_resize(interpolation, size):
    generator = torch.Generator().manual_seed(0)
    height, width = 40, 64
    boxes = torch.from_numpy(draw_boxes(30, (height, width), (0.02, 1.0), np.random.default_rng(0)))
    images = torch.rand(30, 3, height, width, dtype=torch.float64, generator=generator)
    down = weights(boxes[:, 0], boxes[:, 2], height, size, interpolation)
    across = weights(boxes[:, 1], boxes[:, 3], width, size, interpolation)
    found = down[:, None] @ images @ across[:, None].transpose(2, 3)
    for image, box, result in zip(images, boxes.tolist(), found, strict=True):
        expected = functional.resized_crop(
            image, *box, [size, size], MODES[interpolation.upper()], antialias=True
        )
        torch.testing.assert_close(result, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_one_image_is_torchvisions_crop_where_both_resize_the_width_first(interpolation):
    augment = augmentation(size=12, interpolation=interpolation, flip=0.0)
    compared = 0
    for seed in range(60):
        image = noise(30, 40, 3, seed=seed)
        top, left, tall, wide, _ = augment.draw(1, (30, 40), np.random.default_rng(seed))[0].tolist()
        if tall <= wide:
            compared += 1
            expected = functional.resized_crop(
                PIL.Image.fromarray(image), top, left, tall, wide, [12, 12], MODES[interpolation.upper()]
            )
            np.testing.assert_array_equal(augment(image, np.random.default_rng(seed)), np.asarray(expected))
    assert compared > 20


def test_nothing_outside_of_the_box_counts():
    images = torch.from_numpy(noise(1, 3, 16, 16))
    draws = torch.tensor([[4, 2, 6, 9, 0]])
    augment = augmentation()
    other = images.clone()
    other[:, :, :4] = 7
    other[:, :, 10:] = 9
    other[:, :, :, :2] = 11
    other[:, :, :, 11:] = 13
    assert torch.equal(augment.apply(images, draws), augment.apply(other, draws))


def test_flips_have_their_probability_and_turn_columns():
    draws = augmentation(flip=0.25).draw(20000, (16, 16), np.random.default_rng(0))
    assert set(draws[:, 4].tolist()) == {0, 1}
    assert abs(draws[:, 4].mean() - 0.25) < 0.02
    images = torch.from_numpy(noise(1, 3, 8, 8))
    whole = torch.tensor([[0, 0, 8, 8, 0], [0, 0, 8, 8, 1]])
    plain, turned = augmentation().apply(images.expand(2, -1, -1, -1), whole)
    assert torch.equal(plain, images[0])
    assert torch.equal(turned, images[0].flip(2))


def test_images_on_disk_are_first_resized_by_their_shorter_side():
    plain, augment = augmentation(), augmentation(shorter_side=12)
    image = noise(30, 40, 3)
    assert plain.first_resize is None
    assert augment.first_resize == ShorterSide(12, "bicubic")
    expected = plain(ShorterSide(12, "bicubic")(image), np.random.default_rng(0))
    np.testing.assert_array_equal(augment(image, np.random.default_rng(0)), expected)
    small = resize(image, 12, 16, "bicubic")
    np.testing.assert_array_equal(augment(small, np.random.default_rng(0)), expected)
    with pytest.raises(DmixError, match=r"shorter_side 12 is for images on disk; these .* 30 by 40"):
        augment.draw(1, (30, 40), np.random.default_rng(0))


@pytest.mark.parametrize("scale", [(0.0, 1.0), (0.9, 0.5), (0.5, 1.1)])
def test_a_scale_that_is_no_range_of_shares_is_an_error(scale):
    with pytest.raises(DmixError, match="no range of shares"):
        augmentation(scale=scale)


def test_the_part_is_read_from_its_source_and_has_both_forms():
    part = read_part("augment", "random_resized_crop")
    assert part.neutral == {"shorter_side": 0}
    values = {"size": 64, "scale": [0.08, 1.0], "interpolation": "bicubic", "flip": 0.5}
    assert part.model.model_validate(values).scale == (0.08, 1.0)
    for wrong in ({"size": 0}, {"interpolation": "nearest"}, {"flip": 1.5}, {"scale": [0.1]}):
        with pytest.raises(ValueError, match="validation error"):
            part.model.model_validate({**values, **wrong})
    assert isinstance(augmentation(), Augment)
    assert isinstance(augmentation(), ImageAugment)


def test_a_resident_loader_gives_crops_of_another_size_than_its_images():
    split = Split(noise(10, 3, 16, 16), np.arange(10))
    augment = augmentation(size=6)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    loader = ResidentLoader(
        split, augment, batch_size=5, mean=mean, std=std, seed=3, device=torch.device("cpu")
    )
    torch.use_deterministic_algorithms(True)
    try:
        batch = loader.batch(1)
    finally:
        torch.use_deterministic_algorithms(False)
    again = loader.batch(1)
    assert batch.images.shape == (5, 3, 6, 6)
    assert torch.equal(batch.images, again.images)
    reference = ResidentLoader(
        split, augment, batch_size=5, mean=(0, 0, 0), std=(1, 1, 1), seed=3, device=torch.device("cpu")
    )
    levels = np.rint(reference.batch(1).images.numpy() * 255) / 255
    expected = (levels - np.array(mean)[:, None, None]) / np.array(std)[:, None, None]
    np.testing.assert_allclose(batch.images, expected, rtol=0, atol=1e-6)
