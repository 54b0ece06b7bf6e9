"""RandAugment's operations and magnitudes, random erasing, and where their random numbers come from."""

from __future__ import annotations

import math
import random

import numpy as np
import PIL.Image
import pytest
import torch
from scipy import stats

from dmix import vision
from dmix.data.augment.contract import Augment, ImageAugment
from dmix.data.augment.erase import MEAN, STD, erase
from dmix.data.augment.global_random import seeded_from
from dmix.data.augment.rand_augment import RandAugment
from dmix.data.augment.random_resized_crop import RandomResizedCrop
from dmix.grid.parts import read_part

timm = vision.timm()
from timm.data.auto_augment import LEVEL_TO_ARG  # noqa: E402

DEIT = {"operations": 2, "magnitude": 9, "magnitude_std": 0.5}
RSB_A3 = {"operations": 2, "magnitude": 6, "magnitude_std": 0.5}
CROP = {"size": 24, "scale": (0.08, 1.0), "interpolation": "bicubic", "flip": 0.5}


def augmentation(**changes) -> RandAugment:
    return RandAugment(**{**CROP, **DEIT, **changes})


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (30, 40, 3), np.uint8)


# --- RandAugment ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "config"), [(DEIT, "rand-m9-mstd0.5-inc1"), (RSB_A3, "rand-m6-mstd0.5-inc1")]
)
def test_operations_are_those_of_timms_recipe(recipe, config):
    """timm's own training transform with the recipes' command lines: the same operations, and no jitter."""
    transform = timm.data.create_transform(
        24, is_training=True, auto_augment=config, interpolation="bicubic", color_jitter=0.4, re_prob=0.25
    )
    names = [type(step).__name__ for step in transform.transforms]
    assert names == [
        "RandomResizedCropAndInterpolation", "RandomHorizontalFlip", "RandAugment", "MaybeToTensor",
        "Normalize", "RandomErasing",
    ]  # fmt: skip
    theirs, ours = transform.transforms[2], augmentation(**recipe)._augment
    assert str(ours) == str(theirs)
    assert ours.num_layers == theirs.num_layers == 2
    for one, other in zip(ours.ops, theirs.ops, strict=True):
        assert one.kwargs == other.kwargs
        assert one.kwargs == {"fillcolor": (124, 116, 104), "resample": PIL.Image.Resampling.BICUBIC}


def test_magnitudes_of_the_increasing_operations():
    operations = {op.name: op for op in augmentation()._augment.ops}
    assert len(operations) == 15
    assert {op.prob for op in operations.values()} == {0.5}
    random.seed(0)
    expected = {
        "Rotate": 27.0, "ShearX": 0.27, "ShearY": 0.27, "TranslateXRel": 0.405, "TranslateYRel": 0.405,
        "PosterizeIncreasing": 1, "SolarizeIncreasing": 26, "SolarizeAdd": 99,
    }  # fmt: skip
    for name, value in expected.items():
        argument = LEVEL_TO_ARG[name](9, operations[name].hparams)[0]
        assert abs(argument) == pytest.approx(value)
    for name in ("Color", "Contrast", "Brightness", "Sharpness"):
        argument = LEVEL_TO_ARG[f"{name}Increasing"](9, operations[f"{name}Increasing"].hparams)[0]
        assert abs(argument - 1) == pytest.approx(0.81)


@pytest.mark.parametrize("magnitude", [0, 5, 10])
def test_every_operation_works_at_every_magnitude(magnitude):
    image = PIL.Image.fromarray(picture())
    for operation in augmentation(magnitude=magnitude, magnitude_std=0.0)._augment.ops:
        operation.prob = 1.0
        found = operation(image)
        assert (found.size, found.mode) == (image.size, "RGB"), operation.name
        kept = {0: 4, 5: 2, 10: 0}[magnitude]
        if operation.name == "PosterizeIncreasing":
            np.testing.assert_array_equal(found, picture() & (0xFF << (8 - kept) & 0xFF))


def test_an_operation_is_used_half_of_the_time_at_a_normal_magnitude():
    """Rotations made by the part itself: their angles are 3 degrees times the magnitude, either way."""
    augment = augmentation()
    angles: list[float] = []

    def note(image, angle, **settings):
        angles.append(angle)
        return image

    rotate = next(op for op in augment._augment.ops if op.name == "Rotate")
    rotate.aug_fn = note
    augment._augment.ops = [rotate]
    image = picture()
    n = 2000
    for seed in range(n):
        augment(image, np.random.default_rng(seed))
    magnitudes = np.abs(angles) / 3
    assert stats.binomtest(len(angles), 2 * n, 0.5).pvalue > 1e-4
    assert stats.binomtest(int((np.array(angles) > 0).sum()), len(angles), 0.5).pvalue > 1e-4
    clipped = np.minimum(stats.norm(9, 0.5).rvs(100000, random_state=np.random.default_rng(0)), 10)
    assert stats.ks_2samp(magnitudes, clipped).pvalue > 1e-4
    assert magnitudes.max() == 10


def test_crop_operations_and_erasing_follow_each_other():
    image = picture()
    augment = augmentation(erasing=0.7)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        crop = RandomResizedCrop(**CROP)(image, rng)
        with seeded_from(rng):
            expected = augment._augment(PIL.Image.fromarray(crop))
        expected = erase(np.asarray(expected), 0.7, rng)
        found = augment(image, np.random.default_rng(seed))
        assert found.shape == (24, 24, 3)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)


def test_the_generator_alone_decides_and_global_ones_are_left_as_they_were():
    augment = augmentation(erasing=0.5)
    image = picture()
    found = []
    for seed, nuisance in ((0, 1), (0, 2), (1, 1)):
        random.seed(nuisance)
        np.random.seed(nuisance)  # noqa: NPY002
        torch.manual_seed(nuisance)
        before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
        found.append(augment(image, np.random.default_rng(seed)).tobytes())
        after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
        assert before == after
    assert found[0] == found[1] != found[2]


def test_global_generators_come_back_after_an_error():
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    drawn = []

    def fail_after_drawing():
        with seeded_from(np.random.default_rng(0)):
            drawn.append((random.random(), np.random.random()))  # noqa: NPY002
            raise KeyError

    with pytest.raises(KeyError):
        fail_after_drawing()
    assert before == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    with seeded_from(np.random.default_rng(0)):
        assert drawn == [(random.random(), np.random.random())]  # noqa: NPY002
    with seeded_from(np.random.default_rng(1)):
        assert random.random() != drawn[0][0]
        assert np.random.random() != drawn[0][1]  # noqa: NPY002


def test_samples_differ():
    augment, image = augmentation(), picture()
    assert len({augment(image, np.random.default_rng(seed)).tobytes() for seed in range(30)}) == 30


def test_the_part_is_read_from_its_source_and_is_for_images_on_disk():
    part = read_part("augment", "rand_augment")
    assert part.neutral == {"erasing": 0.0}
    assert set(part.model.model_fields) == {*CROP, *DEIT, "erasing"}
    assert isinstance(augmentation(), ImageAugment)
    assert not isinstance(augmentation(), Augment)


# --- erasing -------------------------------------------------------------------------------------------


def erased_boxes(n: int, shape: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Top, left, height and width of the noise in n images that are of one level that noise hardly has."""
    blank = np.full((*shape, 3), 255, np.uint8)
    boxes = []
    for seed in range(n):
        changed = (erase(blank, 1.0, np.random.default_rng(seed)) != 255).any(2)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        boxes.append((rows[0], columns[0], np.ptp(rows) + 1, np.ptp(columns) + 1))
    return boxes


def timm_boxes(n: int, shape: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    erasing = timm.data.random_erasing.RandomErasing(1.0, mode="const", device="cpu")
    random.seed(0)
    boxes = []
    for _ in range(n):
        changed = (erasing(torch.ones(3, *shape)) == 0).any(0).numpy()
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        boxes.append((rows[0], columns[0], np.ptp(rows) + 1, np.ptp(columns) + 1))
    return boxes


def test_boxes_are_distributed_as_timms():
    shape = (40, 56)
    ours, theirs = np.array(erased_boxes(4000, shape)), np.array(timm_boxes(4000, shape))
    for of in (
        lambda b: b[:, 2] * b[:, 3],
        lambda b: b[:, 2] / b[:, 3],
        lambda b: b[:, 0] / (shape[0] - b[:, 2]),
        lambda b: b[:, 1] / (shape[1] - b[:, 3]),
    ):
        assert stats.ks_2samp(of(ours), of(theirs)).pvalue > 1e-4
    area = ours[:, 2] * ours[:, 3] / (shape[0] * shape[1])
    assert area.min() < 0.03
    assert 0.32 < area.max() < 0.36
    assert (ours[:, 0] + ours[:, 2]).max() == shape[0]
    assert (ours[:, 1] + ours[:, 3]).max() == shape[1]


def test_erasing_has_its_probability_and_leaves_the_image_itself_alone():
    image = picture()
    before = image.copy()
    changed = [erase(image, 0.25, np.random.default_rng(seed)) is not image for seed in range(4000)]
    assert stats.binomtest(sum(changed), len(changed), 0.25).pvalue > 1e-4
    assert not any(erase(image, 0.0, np.random.default_rng(seed)) is not image for seed in range(50))
    np.testing.assert_array_equal(image, before)


def test_noise_is_standard_normal_once_it_is_normalised():
    """Up to rounding and the levels' bounds: pixels are distributed as the rounded and clipped normal."""
    blank = np.full((64, 64, 3), 255, np.uint8)
    pixels = []
    for seed in range(1500):
        image = erase(blank, 1.0, np.random.default_rng(seed))
        pixels.append(image[(image != 255).any(2)])
    found = np.concatenate(pixels)
    for channel, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
        shares = np.bincount(found[:, channel], minlength=256).cumsum() / len(found)
        expected = stats.norm(mean, std).cdf(np.arange(255) + 0.5)
        # Kolmogorov's bound at 1e-6; and the few pixels of 255 in all channels, which are not seen as noise
        assert np.abs(shares[:-1] - expected).max() < 2.7 / math.sqrt(len(found)) + 1e-4
    normalised = (found / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert np.abs(normalised.mean(0)).max() < 0.02
    assert np.abs(normalised.std(0) - 1).max() < 0.04


def test_an_image_that_no_box_fits_is_left_alone():
    image = np.zeros((1, 400, 3), np.uint8)
    assert erase(image, 1.0, np.random.default_rng(0)) is image
