import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmix.data.augment.crop_flip import CropFlip
from dmix.data.augment.identity import Identity
from dmix.errors import DmixError


def naive(image: np.ndarray, padding: int, dy: int, dx: int, flip: int) -> np.ndarray:
    """Pad by reflection, crop, flip: one image, as the recipe is usually written."""
    height, width = image.shape[1:]
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)), mode="reflect")
    crop = padded[:, padding + dy : padding + dy + height, padding + dx : padding + dx + width]
    return crop[:, :, ::-1] if flip else crop


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 6),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    padding=st.integers(0, 11),
    flip=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 2**32),
)
def test_batched_is_the_naive_reference_bit_for_bit(n, height, width, padding, flip, seed):
    rng = np.random.default_rng(seed)
    size = min(height, width)
    padding = min(padding, size - 1)
    images = rng.integers(0, 256, (n, 3, height, width), np.uint8)
    augment = CropFlip(padding=padding, flip=flip)
    draws = augment.draw(n, (height, width), rng)
    assert draws.dtype == np.int16
    assert draws.shape == (n, 3)

    found = augment.apply(torch.from_numpy(images), torch.from_numpy(draws))

    assert found.dtype == torch.uint8
    assert found.shape == images.shape
    for image, (dy, dx, turned), result in zip(images, draws.tolist(), found.numpy(), strict=True):
        np.testing.assert_array_equal(result, naive(image, padding, dy, dx, turned))


def test_every_shift_occurs_and_flips_have_their_probability():
    draws = CropFlip(padding=2, flip=0.25).draw(20000, (32, 32), np.random.default_rng(0))
    for axis in (0, 1):
        values, counts = np.unique(draws[:, axis], return_counts=True)
        assert values.tolist() == [-2, -1, 0, 1, 2]
        assert counts.min() > 3700
    assert set(draws[:, 2].tolist()) == {0, 1}
    assert abs(draws[:, 2].mean() - 0.25) < 0.02


def test_no_padding_and_no_flip_change_nothing():
    images = torch.randint(0, 256, (4, 3, 5, 7), dtype=torch.uint8)
    augment = CropFlip(padding=0, flip=0.0)
    draws = torch.from_numpy(augment.draw(4, (5, 7), np.random.default_rng(0)))
    assert torch.equal(augment.apply(images, draws), images)


def test_padding_beyond_reflection_is_an_error():
    with pytest.raises(DmixError, match="padding 16") as caught:
        CropFlip(padding=16, flip=0.5).draw(1, (20, 16), np.random.default_rng(0))
    assert "15" in caught.value.way_out


def test_identity_draws_nothing_and_changes_nothing():
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    draws = Identity().draw(5, (32, 32), rng)
    images = torch.randint(0, 256, (5, 3, 4, 4), dtype=torch.uint8)
    assert draws.shape == (5, 0)
    assert rng.bit_generator.state == before
    assert Identity().apply(images, torch.from_numpy(draws)) is images
