"""The strong augmentation in batches against Pillow, one image at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from scipy import stats

import strong_reference as reference
from dmix.data.augment import strong_ops
from dmix.data.augment.contract import Augment
from dmix.data.augment.cutout import FILL, cut_out, draw_cutouts
from dmix.data.augment.strong import StrongCrop
from dmix.data.augment.strong_ops import NUMBERS, RANGES, draw_operations, rand_augment
from dmix.data.augment.strong_pillow import StrongPillow
from dmix.data.loading.loader import ResidentLoader
from dmix.data.sets.dataset import Split
from dmix.errors import DmixError
from dmix.grid.parts import read_part

torch.set_num_threads(1)
SHAPES = ((32, 32), (9, 14), (21, 8))


def augmentation(**changes) -> StrongCrop:
    return StrongCrop(**{"operations": 3, "cutout": 0.5, "padding": 4, "flip": 0.5, **changes})


def pictures(n: int, shape: tuple[int, int] = (32, 32), seed: int = 0) -> np.ndarray:
    """(n, 3, H, W) of every kind that operations tell apart: noise, gradients, few levels, dim, one level."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (n, 3, *shape))
    slopes = rng.uniform(-12, 12, (2, n, 3, 1, 1))
    row, column = np.indices(shape)
    gradient = 128 + slopes[0] * (row - shape[0] / 2) + slopes[1] * (column - shape[1] / 2)
    few = rng.choice([0, 3, 100, 252, 255], noise.shape)
    low = rng.integers(0, 256, (n, 3, 1, 1))
    dim = low + rng.integers(0, 1 + (255 - low) // rng.integers(1, 60, low.shape), noise.shape)
    kinds = np.stack((noise, gradient, few, dim, np.broadcast_to(low, noise.shape)))
    kind = rng.choice(5, (n, 3), p=[0.3, 0.25, 0.2, 0.2, 0.05])
    return kinds[kind, np.arange(n)[:, None], np.arange(3)].clip(0, 255).astype(np.uint8)


def by_pillow(operation, images: np.ndarray, values: np.ndarray) -> np.ndarray:
    found = [
        np.asarray(operation(Image.fromarray(image.transpose(1, 2, 0)), value))
        for image, value in zip(images, values.tolist(), strict=True)
    ]
    return np.stack(found).transpose(0, 3, 1, 2)


def column(values) -> torch.Tensor:
    return torch.as_tensor(np.asarray(values))[:, None]


# --- each operation ------------------------------------------------------------------------------------


def test_operations_and_ranges_are_torchssls():
    assert {name: (low, high) for name, (_, low, high) in reference.OPERATIONS.items()} == RANGES
    assert tuple(RANGES) == reference.NAMES


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", RANGES)
def test_an_operation_is_pillows_bit_for_bit(name, shape):
    n = 1000
    images, (low, high) = pictures(n, shape, seed=NUMBERS[name]), RANGES[name]
    values = np.random.default_rng(7).uniform(low, high, n)
    values[:2], values[2:50] = (low, high), np.linspace(low, high, 48)
    values[50] = np.clip(0, low, high)

    found = rand_augment(torch.from_numpy(images), column(np.full(n, NUMBERS[name])), column(values))

    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), by_pillow(reference.OPERATIONS[name][0], images, values))


@pytest.mark.parametrize("name", ["Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY"])
def test_every_pixel_of_a_move_comes_from_where_pillow_takes_it(name):
    """All pixels of an image differ, and values are many: one pixel taken elsewhere would show."""
    n, side = 4000, 32
    place = np.arange(side * side).reshape(side, side)
    image = np.stack((place % 251, place // 4, 1 + place % 7)).astype(np.uint8)
    images = np.broadcast_to(image, (n, *image.shape))
    values = np.random.default_rng(8).uniform(*RANGES[name], n)
    found = rand_augment(torch.from_numpy(images.copy()), column(np.full(n, NUMBERS[name])), column(values))
    np.testing.assert_array_equal(found.numpy(), by_pillow(reference.OPERATIONS[name][0], images, values))


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (2, 2), (5, 2), (64, 40)])
@pytest.mark.parametrize("name", RANGES)
def test_an_operation_is_pillows_at_other_sizes_too(name, shape):
    n = 40
    images, values = pictures(n, shape), np.random.default_rng(9).uniform(*RANGES[name], n)
    found = rand_augment(torch.from_numpy(images), column(np.full(n, NUMBERS[name])), column(values))
    np.testing.assert_array_equal(found.numpy(), by_pillow(reference.OPERATIONS[name][0], images, values))


def test_a_blend_is_pillows_for_every_pair_of_levels_and_many_shares():
    """Brightness and contrast blend by one formula: all levels with all means, 60 shares."""
    levels = np.arange(256, dtype=np.uint8)
    for share in np.random.default_rng(3).uniform(0.05, 0.95, 60):
        base, image = (np.ascontiguousarray(part) for part in np.meshgrid(levels, levels))
        expected = np.asarray(Image.blend(Image.fromarray(base), Image.fromarray(image), share))
        found = strong_ops._blended(
            torch.from_numpy(base)[None, None],
            torch.from_numpy(image)[None, None],
            torch.tensor([share], dtype=torch.float64),
        )
        np.testing.assert_array_equal(found[0, 0].numpy(), expected)


def test_autocontrast_is_pillows_for_ranges_of_levels_of_every_width():
    """The darkest level is each of 0..255, the brightest every 17th above it, with all levels in between."""
    levels = torch.arange(256)
    for low in range(256):
        high = torch.arange(low, 256)[:: 17 if low else 1]
        images = torch.minimum(levels.clamp(min=low), high[:, None]).to(torch.uint8)
        images = images.view(-1, 1, 16, 16).expand(-1, 3, -1, -1)
        found = strong_ops.autocontrast(images, torch.zeros(len(images), dtype=torch.float64))
        for image, result in zip(images[:, 0].numpy(), found[:, 1].numpy(), strict=True):
            expected = ImageOps.autocontrast(Image.fromarray(np.ascontiguousarray(image)))
            np.testing.assert_array_equal(result, np.asarray(expected))


# values of uniform numbers 0, 1/4, 1/2 and 1; operations that have no value are left out
ENHANCEMENT = (0.05, 0.27499999999999997, 0.49999999999999994, 0.95)
SHARE = (-0.3, -0.15, 0.0, 0.3)
VALUES = {
    "Brightness": ENHANCEMENT,
    "Color": ENHANCEMENT,
    "Contrast": ENHANCEMENT,
    "Posterize": (4.0, 5.0, 6.0, 8.0),
    "Rotate": (-30.0, -15.0, 0.0, 30.0),
    "Sharpness": ENHANCEMENT,
    "ShearX": SHARE,
    "ShearY": SHARE,
    "Solarize": (0.0, 64.0, 128.0, 256.0),
    "TranslateX": SHARE,
    "TranslateY": SHARE,
}


class Given:
    """A generator whose uniform numbers are given."""

    def __init__(self, number: int, uniform: float):
        self.number, self.uniform = number, uniform

    def integers(self, high, size):
        assert high == 14
        return np.full(size, self.number)

    def random(self, size):
        return np.full(size, self.uniform)


def test_every_operation_has_a_value_but_three():
    assert RANGES.keys() - VALUES.keys() == {"AutoContrast", "Equalize", "Identity"}
    assert {name: (values[0], values[-1]) for name, values in VALUES.items()}.items() <= RANGES.items()


@pytest.mark.parametrize("name", VALUES)
def test_a_uniform_number_becomes_a_value_by_the_range(name):
    for uniform, expected in zip((0.0, 0.25, 0.5, 1.0), VALUES[name], strict=True):
        numbers, values = draw_operations(2, 3, Given(NUMBERS[name], uniform))
        assert (numbers == NUMBERS[name]).all()
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-15)


# --- Cutout --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [*SHAPES, (1, 1)])
def test_a_box_is_pillows_rectangle(shape):
    n = 1000
    images, rng = pictures(n, shape), np.random.default_rng(4)
    boxes = draw_cutouts(n, shape, 0.5, rng)
    boxes[:200] = np.rint(boxes[:200])  # ends that are whole numbers, and sides of 0
    boxes[0] = (0, 1, 1)
    before = images.copy()

    found = cut_out(torch.from_numpy(images), torch.from_numpy(boxes)).numpy()

    np.testing.assert_array_equal(images, before)
    for image, box, result in zip(images, boxes.tolist(), found, strict=True):
        expected = reference.cutout(Image.fromarray(image.transpose(1, 2, 0)), *box)
        np.testing.assert_array_equal(result.transpose(1, 2, 0), np.asarray(expected))
    np.testing.assert_array_equal(found[0], images[0])


def test_a_box_has_its_end_points_and_is_cut_only_at_the_right_and_bottom():
    boxes = torch.tensor([[16.0, 16, 16], [16, 1, 31.9]], dtype=torch.float64)
    found = cut_out(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), boxes).numpy()
    filled = found[:, 0] == FILL[0]
    assert (filled[0].any(0).sum(), filled[0].any(1).sum()) == (17, 17)
    assert (filled[1].any(0).sum(), filled[1].any(1).sum()) == (17, 9)
    assert [set(np.unique(found[:, c])) for c in range(3)] == [{0, level} for level in FILL]


def test_boxes_are_uniform_in_side_and_place():
    boxes = draw_cutouts(20000, (16, 32), 0.5, np.random.default_rng(0))
    for values, high in zip(boxes.T, (16, 32, 16), strict=True):
        assert stats.kstest(values, stats.uniform(0, high).cdf).pvalue > 0.01
    tenth = (boxes / (16, 32, 16) * 10).astype(int)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        together = np.bincount(10 * tenth[:, one] + tenth[:, other], minlength=100)
        assert stats.chisquare(together).pvalue > 0.01


def test_boxes_fill_as_much_as_the_rule_says_on_average():
    """Of a side s and a centre c: from int(max(0, c - s / 2)) to min(length, start + s), both inside."""
    n, side = 20000, 32
    boxes = torch.from_numpy(draw_cutouts(n, (side, side), 0.5, np.random.default_rng(1)))
    filled = cut_out(torch.zeros(n, 3, side, side, dtype=torch.uint8), boxes)[:, 0] > 0
    shares = filled.double().mean((1, 2)).numpy()

    s, c = np.meshgrid((np.arange(400) + 0.5) / 400 * side / 2, (np.arange(400) + 0.5) / 400 * side)
    start = np.floor(np.maximum(0, c - s / 2))
    width = np.minimum(side - 1, np.floor(start + s)) - start + 1
    # one side for both axes, but independent centres
    expected = (width.mean(0) ** 2).mean() / side**2

    assert abs(shares.mean() - expected) < 4 * shares.std() / np.sqrt(n)
    assert 0.06 < expected < 0.09


# --- the whole -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_the_whole_is_pillows_bit_for_bit(shape):
    n = 1000
    images, augment = pictures(n, shape), augmentation()
    draws = augment.draw(n, shape, np.random.default_rng(1))
    assert draws.shape == (n, 12)
    found = augment.apply(torch.from_numpy(images), torch.from_numpy(draws))
    assert found.dtype == torch.uint8
    for image, row, result in zip(images, draws, found.numpy(), strict=True):
        expected = reference.strong(image.transpose(1, 2, 0), row, operations=3, padding=4)
        np.testing.assert_array_equal(result.transpose(1, 2, 0), expected)


def test_a_device_without_a_host_to_ask_gets_the_same(monkeypatch):
    """The way of a GPU, every operation for every image, gives the bits of the CPU's."""

    def everywhere(chosen, images, operation, *settings):
        return torch.where(chosen[:, None, None, None], operation(images, *settings), images)

    images, augment = torch.from_numpy(pictures(300)), augmentation()
    draws = torch.from_numpy(augment.draw(300, (32, 32), np.random.default_rng(2)))
    expected = augment.apply(images, draws)
    monkeypatch.setattr(strong_ops, "_where", everywhere)
    assert torch.equal(augment.apply(images, draws), expected)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_bits_of_the_cpu_and_is_never_waited_for():
    images, augment = torch.from_numpy(pictures(1000)), augmentation()
    draws = torch.from_numpy(augment.draw(1000, (32, 32), np.random.default_rng(2)))
    expected = augment.apply(images, draws)
    there = images.cuda(), draws.cuda()
    augment.apply(*there)
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = augment.apply(*there)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(found.cpu(), expected)


@pytest.mark.parametrize("sizes", [(1,) * 60, (7, 53), (59, 1), (20, 0, 40)])
def test_a_sample_does_not_depend_on_its_batch(sizes):
    images, augment = torch.from_numpy(pictures(60)), augmentation()
    draws = torch.from_numpy(augment.draw(60, (32, 32), np.random.default_rng(5)))
    whole = augment.apply(images, draws)
    parts = zip(images.split(sizes), draws.split(sizes), strict=True)
    assert torch.equal(torch.cat([augment.apply(*part) for part in parts]), whole)
    order = torch.randperm(60)
    assert torch.equal(augment.apply(images[order], draws[order]), whole[order])


def test_the_same_draws_give_the_same_and_inputs_stay_as_they_are():
    images, augment = torch.from_numpy(pictures(50)), augmentation()
    draws = augment.draw(50, (32, 32), np.random.default_rng(6))
    np.testing.assert_array_equal(draws, augment.draw(50, (32, 32), np.random.default_rng(6)))
    given = images.clone(), torch.from_numpy(draws.copy())
    first, second = augment.apply(*given), augment.apply(*given)
    assert torch.equal(first, second)
    assert torch.equal(given[0], images)
    assert torch.equal(given[1], torch.from_numpy(draws))


def test_generators_of_one_state_give_the_same_whether_at_once_or_in_pieces():
    """Choices are drawn once for all, so that only their application is divided."""
    images, augment = torch.from_numpy(pictures(90)), augmentation()
    first, second = np.random.default_rng(7), np.random.default_rng(8)
    second.bit_generator.state = first.bit_generator.state
    draws = torch.from_numpy(augment.draw(90, (32, 32), first))
    whole = augment.apply(images, draws)
    again = torch.from_numpy(augment.draw(90, (32, 32), second))
    pieces = [augment.apply(*part) for part in zip(images.split(13), again.split(13), strict=True)]
    assert torch.equal(torch.cat(pieces), whole)
    assert first.bit_generator.state == second.bit_generator.state
    # a generator that has gone on draws others
    assert not torch.equal(torch.from_numpy(augment.draw(90, (32, 32), first)), draws)


def test_the_memory_layout_of_images_does_not_matter():
    images, augment = torch.from_numpy(pictures(50)), augmentation()
    draws = torch.from_numpy(augment.draw(50, (32, 32), np.random.default_rng(6)))
    expected = augment.apply(images, draws)
    layouts = (
        images.contiguous(memory_format=torch.channels_last),
        images.transpose(2, 3).contiguous().transpose(2, 3),
        images.repeat_interleave(2, 0)[::2],
    )
    for layout in layouts:
        assert torch.equal(augment.apply(layout, draws), expected)


def test_it_goes_by_where_only_deterministic_algorithms_are_allowed():
    images, augment = torch.from_numpy(pictures(50)), augmentation()
    draws = torch.from_numpy(augment.draw(50, (32, 32), np.random.default_rng(6)))
    expected = augment.apply(images, draws)
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.equal(augment.apply(images, draws), expected)
    finally:
        torch.use_deterministic_algorithms(False)


def test_operations_are_equally_frequent_independent_and_their_values_uniform():
    n = 42000
    draws = augmentation().draw(n, (32, 32), np.random.default_rng(0))
    numbers, values = draws[:, :3].astype(int), draws[:, 3:6]
    for place in range(3):
        counts = np.bincount(numbers[:, place], minlength=14)
        assert stats.chisquare(counts).pvalue > 0.01
    pairs = np.bincount(14 * numbers[:, 0] + numbers[:, 1], minlength=196)  # with replacement
    assert stats.chisquare(pairs).pvalue > 0.01
    for number, (low, high) in enumerate(RANGES.values()):
        of_one = values[numbers == number]
        if low == high:
            assert (of_one == low).all()
        else:
            assert stats.kstest(of_one, stats.uniform(low, high - low).cdf).pvalue > 0.001
    bits = np.bincount(values[numbers == NUMBERS["Posterize"]].astype(int), minlength=9)
    assert (bits[:4] == 0).all()
    assert bits[8] == 0
    assert stats.chisquare(bits[4:8]).pvalue > 0.01


def test_shift_and_flip_are_the_weak_views():
    draws = augmentation(padding=2, flip=0.25).draw(20000, (32, 32), np.random.default_rng(0))
    assert np.unique(draws[:, 9]).tolist() == np.unique(draws[:, 10]).tolist() == [-2, -1, 0, 1, 2]
    assert abs(draws[:, 11].mean() - 0.25) < 0.02


def test_no_cutout_fills_nothing():
    augment = augmentation(operations=1, cutout=0.0, padding=0, flip=0.0)
    draws = augment.draw(20, (8, 8), np.random.default_rng(0))
    draws[:, 0] = NUMBERS["Identity"]
    images = torch.from_numpy(pictures(20, (8, 8)))
    assert torch.equal(augment.apply(images, torch.from_numpy(draws)), images)


def test_padding_beyond_reflection_is_an_error():
    with pytest.raises(DmixError, match="padding 8"):
        augmentation(padding=8).draw(1, (8, 20), np.random.default_rng(0))


def test_it_is_an_augmentation_that_a_loader_takes():
    augment = augmentation()
    assert isinstance(augment, Augment)
    part = read_part("augment", "strong")
    assert part is not None
    assert not part.neutral
    assert set(part.model.model_fields) == {"operations", "cutout", "padding", "flip"}
    split = Split(pictures(12), np.arange(12))
    settings = {"mean": (0.5,) * 3, "std": (0.25,) * 3, "device": torch.device("cpu")}
    one = ResidentLoader(split, augment, batch_size=4, seed=0, **settings)
    two = ResidentLoader(split, augment, batch_size=4, seed=0, **settings)
    expected = one.batch(4).images
    assert expected.shape == (4, 3, 32, 32)
    assert torch.equal(two.batch(4).images, expected)


def test_the_part_that_uses_pillow_makes_the_same_views():
    settings = {"operations": 3, "cutout": 0.5, "padding": 4, "flip": 0.5}
    images = torch.from_numpy(np.random.default_rng(0).integers(256, size=(60, 3, 32, 32), dtype=np.uint8))
    found = []
    for augment in (StrongCrop(**settings), StrongPillow(**settings)):
        draws = torch.from_numpy(augment.draw(len(images), (32, 32), np.random.default_rng(1)))
        found.append(augment.apply(images, draws))
    assert torch.equal(*found)
