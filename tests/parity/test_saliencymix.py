from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dmix.errors import DmixError
from dmix.policies import saliencymix
from dmix.policies.policy import Draws
from dmix.policies.saliency import fine_grained, opencv_fine_grained
from dmix.policies.saliencymix import SaliencyMix
from montecarlo import assert_mean
from naive_mixing import CONTEXT, ForcedLam, noise_generator, opencv_map, peak

MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)
STD = torch.tensor([0.2023, 0.1994, 0.2010]).view(3, 1, 1)
INPUTS = ["float_normalised", "uint8"]


def saliency_mix(images, rng, **settings):
    policy = SaliencyMix(alpha=1.0, **settings)
    return policy.mix(images, torch.arange(len(images)), Draws(rng, noise_generator()), CONTEXT)


def noise(n, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, 3, height, width), generator=generator).to(torch.uint8)


def smooth(n, height, width):
    return (F.interpolate(noise(n, 4, 4).float(), size=(height, width), mode="bilinear")).to(torch.uint8)


def sparse(n, height, width):
    return (noise(n, height, width) > 250).to(torch.uint8) * 255


def even(n, height, width):
    return torch.full((n, 3, height, width), 77, dtype=torch.uint8)


def target(n, height, width):
    """A bright point in a dark square on a bright field: both scores add up to more than a byte."""
    image = torch.full((n, 3, height, width), 255, dtype=torch.uint8)
    y, x = height // 2, width // 2
    image[:, :, y - 15 : y + 15, x - 15 : x + 15] = 0
    image[:, :, y - 2 : y + 2, x - 2 : x + 2] = 255
    return image


def patches(n):
    """Dark noise with a bright patch of 8 x 8 pixels, and the patch's corners."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(128, (n, 3, 32, 32), generator=generator)
    corners = torch.randint(25, (n, 2), generator=generator)
    for image, (y, x) in zip(images, corners.tolist(), strict=True):
        image[:, y : y + 8, x : x + 8] += 110
    return images.to(torch.uint8), corners


@pytest.mark.parametrize("make", [noise, smooth, sparse, even])
@pytest.mark.parametrize("size", [(32, 32), (16, 16), (6, 9), (33, 20), (1, 7), (7, 1), (2, 2), (64, 70)])
def test_map_of_bytes_is_opencvs_byte_for_byte(make, size):
    images = make(12, *size)
    found = fine_grained(images)
    for row, image in zip(found, images, strict=True):
        assert np.array_equal(row.numpy(), opencv_map(image))


@pytest.mark.parametrize("make", [noise, smooth, sparse, target])
def test_map_of_large_images_is_opencvs_byte_for_byte(make):
    images = make(2, 224, 200)
    for row, image in zip(fine_grained(images), images, strict=True):
        assert np.array_equal(row.numpy(), opencv_map(image))


def test_bytes_wrap_around_as_opencvs():
    """The middle of the target is its brightest spot, yet the map is low there."""
    middle = fine_grained(target(1, 224, 200))[0, 111:113, 99:101]
    assert 0 < int(middle.max()) < 20


def test_map_of_floats_is_opencvs():
    images = (noise(5, 12, 17).float() / 255 - MEAN) / STD
    for row, image in zip(opencv_fine_grained(images), images, strict=True):
        assert np.array_equal(row.numpy(), opencv_map(image))


def test_bytes_hit_a_bright_patch_and_floats_do_not():
    """Within 2 pixels of the patch; chance is the mean share of such pixels."""
    images, corners = patches(1500)
    y, x = corners.unbind(1)
    normalised = (images.float() / 255 - MEAN) / STD
    near = [((p + 10).clamp(max=32) - (p - 2).clamp(min=0)) / 32 for p in (y, x)]
    chance = (near[0] * near[1]).mean().item()
    rates = {}
    for name, maps in {"uint8": fine_grained(images), "float": opencv_fine_grained(normalised)}.items():
        found = maps.flatten(1).argmax(1)
        row, column = found // 32, found % 32
        hit = (row >= y - 2) & (row < y + 10) & (column >= x - 2) & (column < x + 10)
        rates[name] = hit.float().mean().item()
    assert rates["uint8"] > 2 * chance
    assert abs(rates["float"] - chance) < 0.05
    assert_mean(np.array([chance]), 0.135, 0.01)


@pytest.mark.parametrize("saliency_input", INPUTS)
@pytest.mark.parametrize("per_image", [False, True])
def test_centre_of_the_box_is_the_peak_of_its_source(saliency_input, per_image):
    """On images that are wider than high; the share of a box that is not clipped tells its lam."""
    n, height, width = 12, 20, 31
    images = (noise(n, height, width).float() / 255 - 0.5) * 4
    half_h, half_w = int(height * 0.1**0.5) // 2, int(width * 0.1**0.5) // 2
    free = 0
    for seed in range(4):
        mixed = saliency_mix(
            images,
            ForcedLam(0.9, seed=seed),
            saliency_input=saliency_input,
            per_image=per_image,
            derangement=True,
        )
        for row, mask in enumerate(mixed.mask[:, 0]):
            source = mixed.y_b[row if per_image else 0]
            y, x = peak(images[source], saliency_input)
            expected = torch.ones(height, width, dtype=torch.bool)
            expected[max(y - half_h, 0) : y + half_h, max(x - half_w, 0) : x + half_w] = False
            assert torch.equal(mask, expected)
            free += int((~mask).sum()) == 4 * half_h * half_w
    assert free > 0


@pytest.mark.parametrize("saliency_input", INPUTS)
def test_one_box_per_batch_or_one_per_image(saliency_input):
    images = (noise(32, 16, 16).float() / 255 - 0.5) * 4
    found = {
        per_image: saliency_mix(
            images, ForcedLam(0.9, seed=1), saliency_input=saliency_input, per_image=per_image
        ).mask
        for per_image in (False, True)
    }
    different = {key: len({tuple(mask.flatten().tolist()) for mask in masks}) for key, masks in found.items()}
    assert different[False] == 1
    assert different[True] > 16


@pytest.mark.parametrize(("per_image", "needed"), [(False, 1), (True, 5)])
def test_only_the_images_that_are_needed_are_copied_to_the_host(monkeypatch, per_image, needed):
    seen = []

    def watched(images):
        seen.append(len(images))
        return opencv_fine_grained(images)

    monkeypatch.setattr(saliencymix, "opencv_fine_grained", watched)
    saliency_mix(
        torch.randn(5, 3, 8, 8),
        np.random.default_rng(0),
        saliency_input="float_normalised",
        per_image=per_image,
    )
    assert seen == [needed]


def test_bytes_are_the_pixels_of_the_normalised_images():
    """Normalised with the context's scale, the bytes come back exactly, also those beyond [0, 1] clamped."""
    images = noise(4, 16, 16)
    context = dataclasses.replace(CONTEXT, pixels=lambda x: x * STD + MEAN)
    policy = SaliencyMix(alpha=1.0, saliency_input="uint8", per_image=True)
    normalised = (images.float() / 255 - MEAN) / STD
    assert torch.equal(policy.peak(normalised, context), fine_grained(images).flatten(1).argmax(1))
    beyond = torch.where(images > 200, 9.0, torch.where(images < 50, -9.0, normalised))
    clamped = torch.where(images > 200, 255, torch.where(images < 50, 0, images)).to(torch.uint8)
    assert torch.equal(policy.peak(beyond, context), fine_grained(clamped).flatten(1).argmax(1))


def test_mixing_bytes_commutes_with_normalising():
    images, labels = noise(6, 16, 20).double() / 255, torch.arange(6)
    policy = SaliencyMix(alpha=1.0, saliency_input="uint8", per_image=True)
    in_pixels = dataclasses.replace(CONTEXT, pixels=lambda x: x)
    normalised = dataclasses.replace(CONTEXT, pixels=lambda x: x * STD + MEAN)
    for seed in range(4):
        last = policy.mix(images, labels, Draws(np.random.default_rng(seed), noise_generator()), in_pixels)
        first = policy.mix(
            (images - MEAN) / STD, labels, Draws(np.random.default_rng(seed), noise_generator()), normalised
        )
        assert torch.equal(first.images, (last.images - MEAN) / STD)


def test_opencv_without_saliency_is_told_of_before_training(monkeypatch):
    monkeypatch.delattr(cv2, "saliency")
    SaliencyMix(alpha=1.0, saliency_input="uint8", per_image=True)
    with pytest.raises(DmixError, match="without the saliency module") as caught:
        SaliencyMix(alpha=1.0, saliency_input="float_normalised", per_image=False)
    assert "opencv-contrib-python-headless" in caught.value.way_out


def test_opencv_runs_on_one_thread():
    cv2.setNumThreads(2)
    opencv_fine_grained(torch.zeros(1, 3, 4, 4))
    assert cv2.getNumThreads() == 1
