"""Self-Tuning's training view: operations against Pillow, their draws, Cutout, and the order of it all."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from scipy import stats

from disk_images import write_images
from dmix.data.augment import square_rand_augment
from dmix.data.augment.contract import Augment, ImageAugment
from dmix.data.augment.random_resized_crop import RandomResizedCrop
from dmix.data.augment.resize import Square
from dmix.data.augment.square_rand_augment import (
    NAMES,
    OPERATIONS,
    DrawnOperations,
    Operation,
    SquareRandAugment,
    cut_out,
    draw_operations,
    rand_augment,
)
from dmix.data.loading import chunks
from dmix.data.loading.feed import ReadOptions, train_loader
from dmix.data.loading.stream import StreamLoader
from dmix.grid.parts import read_part

torch.set_num_threads(1)
CROP = {"size": 24, "scale": (0.08, 1.0), "interpolation": "bilinear", "flip": 0.5}
OURS = {"first_side": 32, "operations": 2, "cutout": 16}
FEED = {"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2), "device": torch.device("cpu"), "batch_size": 5}

FACTORS = (0.14, 0.23, 0.32, 0.41, 0.50, 0.59, 0.68, 0.77, 0.86)
SHARES = (0.03, 0.06, 0.09, 0.12, 0.15, 0.18, 0.21, 0.24, 0.27)
NONE = (0,) * 9
# at levels 1 to 9
VALUES = {
    "AutoContrast": NONE,
    "Brightness": FACTORS,
    "Color": FACTORS,
    "Contrast": FACTORS,
    "Equalize": NONE,
    "Identity": NONE,
    "Posterize": (4, 4, 5, 5, 6, 6, 6, 7, 7),
    "Rotate": (3, 6, 9, 12, 15, 18, 21, 24, 27),
    "Sharpness": FACTORS,
    "ShearX": SHARES,
    "ShearY": SHARES,
    "Solarize": (25, 51, 76, 102, 128, 153, 179, 204, 230),
    "TranslateX": SHARES,
    "TranslateY": SHARES,
}
SIGNED = {"Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY"}
# What Pillow is told, where it is not the value: thresholds, and pixels of a side of 224.
TOLD = {
    **VALUES,
    "Solarize": (231, 205, 180, 154, 128, 103, 77, 52, 26),
    "TranslateX": (6, 13, 20, 26, 33, 40, 47, 53, 60),
    "TranslateY": (6, 13, 20, 26, 33, 40, 47, 53, 60),
}
PILLOW = {
    "AutoContrast": lambda image, _: ImageOps.autocontrast(image),
    "Brightness": lambda image, v: ImageEnhance.Brightness(image).enhance(v),
    "Color": lambda image, v: ImageEnhance.Color(image).enhance(v),
    "Contrast": lambda image, v: ImageEnhance.Contrast(image).enhance(v),
    "Equalize": lambda image, _: ImageOps.equalize(image),
    "Identity": lambda image, _: image,
    "Posterize": ImageOps.posterize,
    "Rotate": lambda image, v: image.rotate(v, Image.Resampling.NEAREST, fillcolor=(0, 0, 0)),
    "Sharpness": lambda image, v: ImageEnhance.Sharpness(image).enhance(v),
    "ShearX": lambda image, v: affine(image, (1, v, 0, 0, 1, 0)),
    "ShearY": lambda image, v: affine(image, (1, 0, 0, v, 1, 0)),
    "Solarize": ImageOps.solarize,
    "TranslateX": lambda image, v: affine(image, (1, 0, v, 0, 1, 0)),
    "TranslateY": lambda image, v: affine(image, (1, 0, 0, 0, 1, v)),
}


def affine(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    kind = Image.Transform.AFFINE
    return image.transform(image.size, kind, matrix, Image.Resampling.NEAREST, fillcolor=(0, 0, 0))


def augmentation(**changes) -> SquareRandAugment:
    return SquareRandAugment(**{**CROP, **OURS, **changes})


def picture(height: int = 30, width: int = 40, seed: int = 0) -> np.ndarray:
    """Gradients with noise, no level of 0 or 255: every operation but Identity shows."""
    row, column = np.indices((height, width))
    slopes = np.stack((10 + 220 * row / height, 30 + 150 * column / width, 225 - 215 * row / height), axis=2)
    return (slopes + np.random.default_rng(seed).integers(0, 20, slopes.shape)).astype(np.uint8)


# --- the fourteen operations ---------------------------------------------------------------------------


def test_there_are_fourteen_and_their_values_are_those_of_the_table():
    assert len(NAMES) == 14
    assert set(NAMES) == set(OPERATIONS) == set(VALUES)
    for name, values in VALUES.items():
        for level, value in enumerate(values, start=1):
            assert OPERATIONS[name].value(level, 1) == pytest.approx(value, abs=1e-12), name
            negative = -value if name in SIGNED else value
            assert OPERATIONS[name].value(level, -1) == pytest.approx(negative, abs=1e-12), name
            if name in ("Posterize", "Rotate", "Solarize"):
                assert OPERATIONS[name].value(level, 1) == value


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", VALUES)
def test_an_operation_is_a_call_of_pillow(name, sign):
    image = Image.fromarray(picture(224, 224))
    operation = OPERATIONS[name]
    for level, told in enumerate(TOLD[name], start=1):
        expected = np.asarray(PILLOW[name](image, sign * told if name in SIGNED else told))
        found = np.asarray(operation.apply(image, operation.value(level, sign)))
        np.testing.assert_array_equal(found, expected)
        assert (found != np.asarray(image)).any() == (name != "Identity")


def test_a_translation_is_a_share_of_its_own_side_in_whole_pixels():
    """0.15 of 40 columns and of 30 rows: 6 and 4.5 pixels, to the left and up; black comes after them."""
    image = picture(30, 40)
    for name, pixels, axis in (("TranslateX", 6, 1), ("TranslateY", 4, 0)):
        operation = OPERATIONS[name]
        rest = np.take(image, range(pixels, image.shape[axis]), axis)
        black = np.zeros_like(np.take(image, range(pixels), axis))
        moved = np.asarray(operation.apply(Image.fromarray(image), operation.value(5, 1)))
        np.testing.assert_array_equal(moved, np.concatenate((rest, black), axis))
        rest = np.take(image, range(image.shape[axis] - pixels), axis)
        back = np.asarray(operation.apply(Image.fromarray(image), operation.value(5, -1)))
        np.testing.assert_array_equal(back, np.concatenate((black, rest), axis))


# --- draws ---------------------------------------------------------------------------------------------


def even(counts: np.ndarray) -> bool:
    return stats.chisquare(counts).pvalue > 1e-4


def test_operations_levels_use_and_signs_are_uniform_and_independent():
    n = 200_000
    drawn = draw_operations(n, np.random.default_rng(0))
    assert all(values.shape == (n,) for values in drawn)
    assert set(drawn.numbers.tolist()) == set(range(14))
    assert set(drawn.levels.tolist()) == set(range(1, 10))
    assert set(drawn.signs.tolist()) == {-1, 1}
    assert np.abs(np.bincount(drawn.numbers) / n - 1 / 14).max() < 0.003
    assert np.abs(np.bincount(drawn.levels)[1:] / n - 1 / 9).max() < 0.003
    assert abs(drawn.used.mean() - 0.5) < 0.005
    assert abs((drawn.signs == 1).mean() - 0.5) < 0.005
    # of two operations in one image, too
    joint = np.ravel_multi_index(
        (drawn.numbers, drawn.levels - 1, drawn.used.astype(int), (drawn.signs + 1) // 2), (14, 9, 2, 2)
    )
    assert even(np.bincount(joint, minlength=14 * 9 * 4))
    assert even(np.bincount(14 * drawn.numbers[::2] + drawn.numbers[1::2], minlength=14 * 14))


def test_the_part_applies_what_is_drawn_half_of_the_time(monkeypatch):
    applied: list[tuple[str, float]] = []

    def noting(name: str) -> Operation:
        def note(image, value):
            applied.append((name, value))
            return image

        return Operation(note, largest=10, signed=True)

    monkeypatch.setattr(square_rand_augment, "OPERATIONS", {name: noting(name) for name in NAMES})
    augment, image, n = augmentation(operations=3), picture(), 2500
    for seed in range(n):
        augment(image, np.random.default_rng(seed))
    assert stats.binomtest(len(applied), 3 * n, 0.5).pvalue > 1e-4
    assert even(np.array([sum(name == one for one, _ in applied) for name in NAMES]))
    levels = np.array([value for _, value in applied])
    assert even(np.array([(levels == level).sum() for level in (*range(-9, 0), *range(1, 10))]))


def test_operations_follow_each_other_in_the_order_of_their_draws(monkeypatch):
    order = [NAMES.index(name) for name in ("Solarize", "Rotate", "Posterize", "TranslateX")]
    ones = np.ones(4, np.int64)
    drawn = DrawnOperations(np.array(order), 7 * ones, np.array([True, True, False, True]), -ones)
    monkeypatch.setattr(square_rand_augment, "draw_operations", lambda k, rng: drawn)
    image = picture(30, 40)
    expected = PILLOW["Solarize"](Image.fromarray(image), 77)
    expected = PILLOW["TranslateX"](PILLOW["Rotate"](expected, -21), -8)
    np.testing.assert_array_equal(rand_augment(image, 4, np.random.default_rng(0)), np.asarray(expected))


# --- Cutout --------------------------------------------------------------------------------------------


class Centre:
    """A generator whose uniform numbers are given."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = list(numbers)

    def random(self) -> float:
        return self.numbers.pop(0)


def grey_boxes(n: int, side: int, height: int, width: int) -> np.ndarray:
    """Top, left, height and width of the boxes in n images that are white otherwise."""
    white = np.full((height, width, 3), 255, np.uint8)
    boxes = []
    for seed in range(n):
        found = cut_out(white, side, np.random.default_rng(seed))
        grey = (found == 127).all(2)
        assert ((found == 255).all(2) | grey).all()
        rows, columns = np.flatnonzero(grey.any(1)), np.flatnonzero(grey.any(0))
        boxes.append((rows[0], columns[0], np.ptp(rows) + 1, np.ptp(columns) + 1))
        assert grey.sum() == boxes[-1][2] * boxes[-1][3]
    assert (white == 255).all()
    return np.array(boxes)


@pytest.mark.parametrize(
    ("x", "y", "left", "top", "wide", "tall"),
    [
        (112, 112, 104, 104, 17, 17),
        (0, 7.9, 0, 0, 17, 17),  # not cut at the left and the top, but moved
        (9.5, 8, 1, 0, 17, 17),
        (215.9, 215, 207, 207, 17, 17),
        (216, 223.9, 208, 215, 16, 9),  # cut at the right and the bottom
    ],
)
def test_a_box_of_16_pixels_is_17_wide_and_begins_8_before_its_centre(x, y, left, top, wide, tall):
    expected = np.zeros((224, 224, 3), np.uint8)
    for row in range(top, top + tall):
        for column in range(left, left + wide):
            expected[row, column] = (127, 127, 127)
    found = cut_out(np.zeros((224, 224, 3), np.uint8), 16, Centre(x / 224, y / 224))
    np.testing.assert_array_equal(found, expected)


def test_boxes_are_anywhere_and_cut_only_at_the_right_and_bottom():
    height, width, n = 48, 64, 4000
    top, left, tall, wide = grey_boxes(n, 16, height, width).T
    for start, length, total in ((top, tall, height), (left, wide, width)):
        assert (length == np.minimum(17, total - start)).all()
        assert set(start.tolist()) == set(range(total - 8))
        # the centres of 0 to 9 are one place, and every pixel after them another
        expected = np.array([9] + [1] * (total - 9)) * n / total
        assert stats.chisquare(np.bincount(start), expected).pvalue > 1e-4
    assert abs(np.corrcoef(top, left)[0, 1]) < 0.06


def test_a_box_has_any_side_and_none_is_no_box():
    assert (grey_boxes(200, 5, 40, 40)[:, 2:].max(0) == 6).all()
    image, rng = picture(), np.random.default_rng(0)
    assert cut_out(image, 0, rng) is image
    assert rng.random() == np.random.default_rng(0).random()


# --- the view ------------------------------------------------------------------------------------------


def naive(image: np.ndarray, seed: int) -> np.ndarray:
    """Square, crop and flip, operations and box, one after the other."""
    rng = np.random.default_rng(seed)
    crop = RandomResizedCrop(**CROP)(Square(32, "bicubic")(image), rng)
    made, drawn = Image.fromarray(crop), draw_operations(2, rng)
    for number, level, used, sign in zip(*drawn, strict=True):
        name = NAMES[number]
        told = TOLD[name][level - 1]
        if name.startswith("Translate"):
            told = int(24 * VALUES[name][level - 1])
        if used:
            made = PILLOW[name](made, sign.item() * told if name in SIGNED else told)
    x, y = (24 * rng.random() for _ in range(2))
    left, top = int(max(0, x - 8)), int(max(0, y - 8))
    made = made.copy()
    end = int(min(24, left + 16)), int(min(24, top + 16))
    ImageDraw.Draw(made).rectangle(((left, top), end), (127, 127, 127))
    return np.asarray(made)


def test_square_crop_operations_and_box_follow_each_other():
    augment = augmentation()
    for seed in range(200):
        image = picture(28 + seed % 9, 40, seed)
        found = augment(image, np.random.default_rng(seed))
        assert found.shape == (24, 24, 3)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, naive(image, seed))


def test_a_view_of_the_recipes_size_is_of_bytes_224_pixels_square():
    augment = augmentation(first_side=256, size=224)
    for seed, shape in enumerate(((300, 500), (500, 300), (256, 256), (40, 30))):
        view = augment(picture(*shape), np.random.default_rng(seed))
        assert view.shape == (224, 224, 3)
        assert view.dtype == np.uint8


def test_no_operations_and_no_box_leave_the_crop():
    image = picture()
    plain = augmentation(operations=0, cutout=0)
    for seed in range(10):
        expected = RandomResizedCrop(**CROP)(Square(32, "bicubic")(image), np.random.default_rng(seed))
        np.testing.assert_array_equal(plain(image, np.random.default_rng(seed)), expected)
        changed = augmentation(operations=0)(image, np.random.default_rng(seed)) != expected
        assert 0 < changed.any(2).sum() <= 17 * 17


def test_the_generator_alone_decides_and_global_ones_are_left_as_they_were():
    augment, image = augmentation(), picture()
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


def test_two_draws_of_one_generator_differ():
    augment, image, rng = augmentation(), picture(), np.random.default_rng(0)
    assert len({augment(image, rng).tobytes() for _ in range(30)}) == 30


@pytest.mark.parametrize("count", [1, 3])
def test_neither_workers_nor_kept_images_change_a_pixel(tmp_path, monkeypatch, count):
    monkeypatch.setattr(chunks, "CHUNK", 2)
    split, augment = write_images(tmp_path / "images", 13), augmentation()
    alone = train_loader(split, augment, ReadOptions(), seed=3, **FEED)
    assert isinstance(alone, StreamLoader)
    helped = train_loader(split, augment, ReadOptions(count, tmp_path / "cache"), seed=3, **FEED)
    kept = [path.name.rpartition("-")[0] for path in (tmp_path / "cache").glob("*.bin")]
    assert kept == ["bicubic-32x32"]
    for step in range(5):
        assert torch.equal(alone.batch(step).images, helped.batch(step).images)


def test_the_part_is_read_from_its_source_and_is_for_images_on_disk():
    part = read_part("augment", "square_rand_augment")
    assert part.neutral == {"operations": 0, "cutout": 0}
    assert set(part.model.model_fields) == {*CROP, *OURS}
    assert isinstance(augmentation(), ImageAugment)
    assert not isinstance(augmentation(), Augment)
    assert augmentation().first_resize == Square(32, "bicubic")
