"""Resizing and test-time crops, against torchvision and against Pillow's rule written out in plain Python."""

from __future__ import annotations

import math

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmix import vision
from dmix.data.augment.resize import ShorterSide, Square, resize
from dmix.data.views.resize_crop import ResizeCrop
from dmix.data.views.unchanged import Unchanged
from dmix.errors import DmixError

vision.torchvision()
from torchvision import transforms  # noqa: E402

MODES = transforms.InterpolationMode


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Noise of extreme levels, at which every interpolation overshoots."""
    return np.random.default_rng(seed).choice(np.array([0, 3, 252, 255], np.uint8), (height, width, 3))


def kernel(x: float, interpolation: str) -> float:
    x = abs(x)
    if interpolation == "bilinear":
        return max(0.0, 1 - x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def naive_line(line: list[int], size: int, interpolation: str) -> list[int]:
    """Resize one line of levels: weights with 22 bits behind the point, sums rounded to a level."""
    scale = len(line) / size
    stretch = max(scale, 1.0)
    result = []
    for place in range(size):
        weights = [
            kernel((j + 0.5 - (place + 0.5) * scale) / stretch, interpolation) for j in range(len(line))
        ]
        total = sum(weights)
        fixed = [math.floor(abs(w) / total * 2**22 + 0.5) * (1 if w >= 0 else -1) for w in weights]
        level = (sum(w * v for w, v in zip(fixed, line, strict=True)) + 2**21) >> 22
        result.append(min(max(level, 0), 255))
    return result


def naive(image: np.ndarray, height: int, width: int, interpolation: str) -> np.ndarray:
    """Resize the rows, then the columns."""
    planes = []
    for plane in image.transpose(2, 0, 1).tolist():
        rows = [naive_line(row, width, interpolation) for row in plane]
        columns = [naive_line([row[x] for row in rows], height, interpolation) for x in range(width)]
        planes.append([[columns[x][y] for x in range(width)] for y in range(height)])
    return np.array(planes, np.uint8).transpose(1, 2, 0)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    target=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    seed=st.integers(0, 100),
)
def test_resize_is_the_rule_written_out_bit_for_bit(shape, target, interpolation, seed):
    image = noise(*shape, seed)
    np.testing.assert_array_equal(resize(image, *target, interpolation), naive(image, *target, interpolation))


@pytest.mark.parametrize(
    ("interpolation", "expected"),
    [
        ("bilinear", [[0, 64, 191, 255], [0, 64, 191, 255]]),
        ("bicubic", [[0, 53, 202, 255], [0, 53, 202, 255]]),
    ],
)
def test_interpolation_on_a_fixed_image(interpolation, expected):
    """A step from 0 to 255, doubled. Bicubic, by hand: k(3/4) / (k(1/4) + k(3/4)) = 0.2266 / 1.0938."""
    step = np.repeat(np.array([[[0], [255]]], np.uint8), 3, axis=2)
    found = resize(step, 2, 4, interpolation)
    assert found[:, :, 0].tolist() == expected
    assert (found == found[:, :, :1]).all()


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(2, 40),
    wider=st.integers(0, 40),
    size=st.integers(2, 30),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
)
def test_shorter_side_is_torchvisions_resize(height, wider, size, interpolation):
    """Landscape pixels are equal; upright ones Pillow 13 may make in another order, so their shapes are."""
    first = ShorterSide(size, interpolation)
    reference = transforms.Resize(size, MODES[interpolation.upper()])
    image = noise(height, height + wider)
    np.testing.assert_array_equal(first(image), np.asarray(reference(PIL.Image.fromarray(image))))
    upright = np.ascontiguousarray(image.transpose(1, 0, 2))
    assert first(upright).shape[1::-1] == reference(PIL.Image.fromarray(upright)).size


def test_shorter_side_done_twice_is_done_once():
    for shape in ((30, 41), (41, 30), (20, 20)):
        once = ShorterSide(20, "bicubic")(noise(*shape))
        assert min(once.shape[:2]) == 20
        assert ShorterSide(20, "bicubic")(once) is once


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    size=st.integers(1, 12),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    seed=st.integers(0, 100),
)
def test_a_square_is_the_rule_written_out_bit_for_bit(shape, size, interpolation, seed):
    image = noise(*shape, seed)
    expected = naive(image, size, size, interpolation)
    np.testing.assert_array_equal(Square(size, interpolation)(image), expected)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(300, 400), (256, 500), (100, 180), (400, 300), (300, 256)])
def test_a_square_is_pillows_resize(shape, interpolation):
    """Of upright images Pillow 13 may begin with the height: here it is asked for the width first."""
    image = noise(*shape)
    picture, mode = PIL.Image.fromarray(image), PIL.Image.Resampling[interpolation.upper()]
    if shape[0] > shape[1]:
        picture = picture.resize((256, shape[0]), mode)
    found = Square(256, interpolation)(image)
    assert found.shape == (256, 256, 3)
    np.testing.assert_array_equal(found, np.asarray(picture.resize((256, 256), mode)))


def test_a_square_done_twice_is_done_once():
    for shape in ((30, 41), (41, 30), (20, 30), (30, 20)):
        once = Square(20, "bicubic")(noise(*shape))
        assert once.shape == (20, 20, 3)
        assert Square(20, "bicubic")(once) is once
    image = noise(20, 20)
    assert Square(20, "bicubic")(image) is image


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(4, 40),
    wider=st.integers(0, 40),
    shorter_side=st.integers(4, 30),
    margin=st.integers(0, 9),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
)
def test_resize_crop_is_torchvisions_resize_and_centre_crop(
    height, wider, shorter_side, margin, interpolation
):
    size = max(1, shorter_side - margin)
    view = ResizeCrop(shorter_side=shorter_side, size=size, interpolation=interpolation)
    resized = transforms.Resize(shorter_side, MODES[interpolation.upper()])
    crop = transforms.CenterCrop(size)
    image = noise(height, height + wider)
    expected = np.asarray(crop(resized(PIL.Image.fromarray(image))))
    np.testing.assert_array_equal(view(image), expected)
    # upright: the crop alone, of an image that needs no resize
    upright = np.ascontiguousarray(view.first_resize(image).transpose(1, 0, 2))
    np.testing.assert_array_equal(view(upright), np.asarray(crop(PIL.Image.fromarray(upright))))


def test_a_crop_larger_than_the_resized_image_is_an_error():
    ResizeCrop(shorter_side=8, size=8, interpolation="bilinear")
    with pytest.raises(DmixError, match="crop of 9 pixels does not fit into a shorter side of 8"):
        ResizeCrop(shorter_side=8, size=9, interpolation="bilinear")


def test_unchanged_changes_nothing():
    image = noise(3, 4)
    assert Unchanged()(image) is image
    assert Unchanged().first_resize is None
