"""Ten crops: where they are, that their logits are added up, and which of them is the centre."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor

from disk_images import write_images
from dmix.data.augment.resize import Square
from dmix.data.loading.feed import ReadOptions, evaluation
from dmix.data.loading.loader import EvaluationSet
from dmix.data.loading.stream import StreamEvaluation
from dmix.data.sets.dataset import Split
from dmix.data.views.contract import View
from dmix.data.views.resize_crop import ResizeCrop
from dmix.data.views.ten_crop import TenCrop
from dmix.data.views.unchanged import Unchanged
from dmix.engine.distributed import World
from dmix.engine.evaluate import predictions, top1
from dmix.engine.method import Method
from dmix.errors import DmixError
from dmix.grid.parts import read_part

torch.set_num_threads(1)
FEED = {"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2), "device": torch.device("cpu"), "batch_size": 5}
ALONE = World(0, 1)
# left and top, in the order of the published code
PLACES = [(0, 0), (31, 31), (31, 0), (0, 31), (16, 16)]


def view(side: int = 256, size: int = 224) -> TenCrop:
    return TenCrop(side=side, size=size, interpolation="bicubic")


class Predicts(Method):
    """A task of functions from images to logits, by name."""

    def __init__(self, **functions: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.functions = functions
        self.modes: list[bool] = []

    def predict(self, images: Tensor) -> dict[str, Tensor]:
        self.modes.append(self.training)
        return {name: function(images) for name, function in self.functions.items()}


@dataclass
class Batches:
    """Batches in a list, seen by a view."""

    view: View
    batches: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self.batches)


def first_pixel(images: Tensor) -> Tensor:
    """Three classes: the channels at a crop's top left."""
    return images[:, :, 0, 0]


def with_logits(rows: list[list[tuple[float, float, float]]], side: int = 12, size: int = 8) -> Tensor:
    """Return images whose ten crops give `first_pixel` these logits."""
    images = torch.zeros(len(rows), 3, side, side)
    far = side - size - 1
    places = [(0, 0), (far, far), (far, 0), (0, far), ((side - size) // 2,) * 2]
    for image, logits in zip(images, rows, strict=True):
        for number, row in enumerate(logits):
            left, top = places[number % 5]
            image[:, top, left if number < 5 else side - 1 - left] = torch.tensor(row)
    return images


# --- where crops are -----------------------------------------------------------------------------------


def test_offsets_are_those_of_the_published_code():
    """Every pixel knows its column and row, so a crop shows where it comes from."""
    column, row = torch.arange(256.0).expand(256, 256), torch.arange(256.0).view(-1, 1).expand(256, 256)
    images = torch.stack((column, row, torch.zeros(256, 256))).expand(2, -1, -1, -1)
    crops = list(view().crops(images))
    assert len(crops) == 10
    for number, crop in enumerate(crops):
        assert crop.shape == (2, 3, 224, 224)
        left, top = PLACES[number % 5]
        columns = torch.arange(left, left + 224.0)
        if number >= 5:
            columns = 255 - columns
        assert torch.equal(crop[1, 0], columns.expand(224, 224))
        assert torch.equal(crop[1, 1], torch.arange(top, top + 224.0).view(-1, 1).expand(224, 224))


@pytest.mark.parametrize(
    ("side", "size", "far", "middle"), [(256, 224, 31, 16), (20, 16, 3, 2), (12, 7, 4, 2), (9, 8, 0, 0)]
)
def test_offsets_of_other_sizes(side, size, far, middle):
    assert view(side, size).places == ((0, 0), (far, far), (far, 0), (0, far), (middle, middle))


def test_the_centre_is_the_crop_in_the_middle_of_the_image_itself():
    images = torch.rand(2, 3, 256, 256)
    crops = list(view().crops(images))
    assert torch.equal(crops[view().centre], images[:, :, 16:240, 16:240])
    assert not torch.equal(crops[view().centre + 5], images[:, :, 16:240, 16:240])


def test_other_views_show_the_images_once():
    images = torch.rand(2, 3, 8, 8)
    for one in (Unchanged(), ResizeCrop(shorter_side=8, size=8, interpolation="bilinear")):
        (crop,) = one.crops(images)
        assert crop is images
        assert one.centre == 0


def test_crops_leave_the_images_as_they_are():
    images = torch.rand(2, 3, 12, 12)
    before = images.clone()
    list(view(12, 8).crops(images))
    assert torch.equal(images, before)


def test_on_the_host_an_image_becomes_a_square():
    image = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)
    found = view(20, 16)(image)
    assert found.shape == (20, 20, 3)
    np.testing.assert_array_equal(found, Square(20, "bicubic")(image))
    assert view(20, 16)(found) is found
    assert view(20, 16).first_resize == Square(20, "bicubic")


@pytest.mark.parametrize("size", [20, 21])
def test_crops_that_do_not_fit_are_an_error(size):
    with pytest.raises(DmixError, match=f"no five crops of {size} pixels fit into 20") as caught:
        view(20, size)
    assert "less than 20" in caught.value.way_out


# --- what is evaluated ---------------------------------------------------------------------------------


def test_ten_crops_that_are_the_same_give_ten_times_the_logits():
    """Images of one colour, whose crops and mirrors are equal; weights whose sums are exact."""
    weights = torch.tensor([[1.0, -2, 3, 0.5], [0, 4, -1, 2], [2, 1, 0.25, -3]])
    task = Predicts(model=lambda images: images.mean((2, 3)).round(decimals=3) @ weights)
    colours = torch.tensor([[0.5, 2, -1], [3, -0.25, 0.5]])
    images = colours.view(2, 3, 1, 1).expand(2, 3, 256, 256)
    found = predictions(task, view(), images)
    assert len(task.modes) == 10
    assert torch.equal(found["model_centre"], colours @ weights)
    assert torch.equal(found["model"], 10 * (colours @ weights))


def test_each_crop_counts_once():
    logits = [(float(10**number % 9973), float(number), -float(2**number)) for number in range(10)]
    found = predictions(Predicts(model=first_pixel), view(12, 8), with_logits([logits]))
    assert found["model"].tolist() == [[sum(column) for column in zip(*logits, strict=True)]]
    assert found["model_centre"].tolist() == [list(logits[4])]


def test_logits_are_added_not_probabilities_or_votes():
    """One crop is sure of class 0, nine are a little for class 1."""
    logits = [(30.0, 0.0, 0.0)] + 9 * [(0.0, 2.0, 0.0)]
    found = predictions(Predicts(model=first_pixel), view(12, 8), with_logits([logits]))["model"]
    assert found.tolist() == [[30, 18, 0]]
    assert torch.tensor(logits).softmax(1).sum(0).argmax() == 1


def test_accuracy_is_that_of_the_sum_and_the_centre_follows():
    """Of five images in two batches, class 0 is right; `other` takes class 1 for class 0."""
    both = 10 * [(1.0, 0.0, 0.0)]
    sum_alone = [(1.0, 0.0, 0.0)] * 4 + [(0.0, 1.0, 0.0)] + [(1.0, 0.0, 0.0)] * 5
    centre_alone = [(0.0, 1.0, 0.0)] * 4 + [(1.0, 0.0, 0.0)] + [(0.0, 1.0, 0.0)] * 5
    neither = 10 * [(0.0, 0.0, 1.0)]
    images = with_logits([both, sum_alone, centre_alone, neither, sum_alone])
    labels = torch.zeros(5, dtype=torch.int64)
    task = Predicts(model=first_pixel, other=lambda images: first_pixel(images)[:, [1, 0, 2]])
    batches = [(images[:3], labels[:3]), (images[3:], labels[3:])]

    found = top1(task, Batches(view(12, 8), batches), ALONE)

    assert list(found) == ["model", "other", "model_centre", "other_centre"]
    assert found == {"model": 60.0, "other": 20.0, "model_centre": 40.0, "other_centre": 40.0}
    assert task.modes == [False] * 20
    assert task.training


def test_a_view_of_one_crop_has_no_second_number():
    images = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]).view(4, 3, 1, 1)
    task = Predicts(model=first_pixel, other=lambda images: first_pixel(images)[:, [0, 2, 1]])
    found = top1(task, Batches(Unchanged(), [(images, torch.tensor([1, 0, 2, 2]))]), ALONE)
    assert found == {"model": 75.0, "other": 50.0}
    assert list(found) == ["model", "other"]
    assert len(task.modes) == 1


def test_the_host_waits_for_the_device_once_all_batches_are_read(monkeypatch):
    ended: list[bool] = []
    waits: list[bool] = []

    class Noting(Batches):
        def __iter__(self):
            yield from self.batches
            ended.append(True)

    def noting(name: str):
        own = getattr(Tensor, name)

        def noted(tensor, *arguments):
            waits.append(bool(ended))
            return own(tensor, *arguments)

        return noted

    images, labels = torch.rand(4, 3, 12, 12), torch.zeros(4, dtype=torch.int64)
    for name in (
        "item",
        "tolist",
        "__int__",
        "__float__",
        "__bool__",
        "__index__",
        "cpu",
        "numpy",
        "nonzero",
    ):
        monkeypatch.setattr(Tensor, name, noting(name))
    top1(Predicts(model=first_pixel), Noting(view(12, 8), [(images, labels)] * 3), ALONE)
    assert waits == [True, True]  # one count of the sum, one of the centre


def test_a_reading_from_disk_is_that_of_its_images_one_by_one(tmp_path):
    split, seen = write_images(tmp_path / "images", 13), view(20, 16)
    weights = torch.randn(3 * 16 * 16, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    task = Predicts(model=lambda images: images.double().flatten(1) @ weights)
    right, right_in_the_centre = 0, 0
    for index in range(13):
        image = (Square(20, "bicubic")(split.image(index)) / 255 - 0.5) / 0.2
        total = np.zeros(7)
        for mirrored in (image, image[:, ::-1]):
            for left, top in ((0, 0), (3, 3), (3, 0), (0, 3), (2, 2)):
                crop = mirrored[top : top + 16, left : left + 16].transpose(2, 0, 1)
                total += crop.reshape(-1) @ weights.numpy()
        centre = image[2:18, 2:18].transpose(2, 0, 1).reshape(-1) @ weights.numpy()
        right += total.argmax() == split.labels[index]
        right_in_the_centre += centre.argmax() == split.labels[index]
    found = top1(task, evaluation(split, seen, ReadOptions(), **FEED), ALONE)
    assert found == {"model": 100 * right / 13, "model_centre": 100 * right_in_the_centre / 13}
    assert right != right_in_the_centre


# --- readings have their view --------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_images_on_disk_are_squared_and_kept_and_neither_that_nor_workers_change_a_pixel(tmp_path, workers):
    split, seen = write_images(tmp_path / "images", 7), view(20, 16)
    plain = evaluation(split, seen, ReadOptions(), **FEED)
    kept = evaluation(split, seen, ReadOptions(workers, tmp_path / "cache"), **FEED)
    assert [path.name.rpartition("-")[0] for path in (tmp_path / "cache").glob("*.bin")] == ["bicubic-20x20"]
    for source in (plain, kept):
        assert isinstance(source, StreamEvaluation)
        assert source.view is seen
    for (images, labels), (others, other_labels) in zip(plain, kept, strict=True):
        assert images.shape[1:] == (3, 20, 20)
        assert torch.equal(images, others)
        assert torch.equal(labels, other_labels)


def test_images_in_memory_have_their_view_too():
    rng = np.random.default_rng(0)
    split = Split(rng.integers(0, 256, (7, 3, 12, 12), np.uint8), rng.integers(0, 7, 7))
    assert isinstance(EvaluationSet(split, **FEED).view, Unchanged)
    unchanged, seen = Unchanged(), view(12, 8)
    assert evaluation(split, unchanged, ReadOptions(), **FEED).view is unchanged
    source = EvaluationSet(split, view=seen, **FEED)
    assert source.view is seen
    for (images, _), (others, _) in zip(source, EvaluationSet(split, **FEED), strict=True):
        assert torch.equal(images, others)
    with pytest.raises(DmixError, match="test-time transform ten_crop is not for images in memory"):
        evaluation(split, seen, ReadOptions(), **FEED)


def test_the_part_is_read_from_its_source():
    part = read_part("view", "ten_crop")
    assert set(part.model.model_fields) == {"side", "size", "interpolation"}
    assert part.neutral == {}
