"""Pairs of endless streams, on disk and in memory: functions of seed and step alone, whatever came before."""

from __future__ import annotations

import gc
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch

from disk_images import Counted, write_images
from dmix.data.augment.crop_flip import CropFlip
from dmix.data.augment.identity import Identity
from dmix.data.augment.random_resized_crop import RandomResizedCrop
from dmix.data.augment.square_rand_augment import SquareRandAugment
from dmix.data.augment.strong import StrongCrop
from dmix.data.labels.label_split import LabelSplit
from dmix.data.loading import chunks, epochs, feed
from dmix.data.loading.disk_views import DiskViews
from dmix.data.loading.feed import ReadOptions
from dmix.data.loading.resident_views import Resident, ResidentViews
from dmix.data.loading.sampling import Shuffled, WithReplacement
from dmix.data.loading.two_stream_feed import shares_of, two_stream_loader
from dmix.data.loading.two_streams import TwoStreamBatch, TwoStreamLoader, Views
from dmix.data.sets.dataset import FileSplit, Split
from dmix.errors import DmixError

torch.set_num_threads(1)
CPU = torch.device("cpu")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CROP = RandomResizedCrop(size=8, scale=(0.08, 1.0), interpolation="bicubic", flip=0.5)
SQUARE = {"size": 8, "scale": (0.08, 1.0), "interpolation": "bicubic", "flip": 0.5}
RAND = SquareRandAugment(first_side=12, operations=2, cutout=3, **SQUARE)
WEAK = CropFlip(padding=2, flip=0.5)
STRONG = StrongCrop(operations=3, cutout=0.5, padding=2, flip=0.5)
LABELS = LabelSplit(np.arange(0, 23, 3), np.setdiff1d(np.arange(23), np.arange(0, 23, 3)), (), "")
SEEDS = {"labelled": 5, "unlabelled": 6}


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory) -> FileSplit:
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def in_memory() -> Split:
    rng = np.random.default_rng(0)
    return Split(rng.integers(0, 256, (23, 3, 8, 8), np.uint8), rng.permutation(23) % 7)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Several tasks for each batch, also of tiny ones; and no process outlives its test."""
    monkeypatch.setattr(chunks, "CHUNK", 2)
    yield
    if multiprocessing.active_children():
        gc.collect()  # pytest's record of an expected error is a cycle that holds the test's stream
    assert multiprocessing.active_children() == []


def disk(split, workers: int = 0, augments=(CROP, CROP), seed: int = 3, sampler=None) -> DiskViews:
    look = {"mean": MEAN, "std": STD, "device": CPU}
    sampler = sampler or Shuffled(np.arange(23), 5, seed)
    return DiskViews(split, sampler, augments, batch_size=5, seed=seed, workers=workers, **look)


def resident(split, workers: int = 0, augments=(WEAK, STRONG), seed: int = 3, sampler=None) -> ResidentViews:
    del workers
    sampler = sampler or WithReplacement(np.arange(23), 5, seed)
    held = Resident.of(split, CPU)
    return ResidentViews(held, sampler, augments, batch_size=5, mean=MEAN, std=STD, seed=seed)


@pytest.fixture(params=["disk", "memory"])
def kind(request, on_disk, in_memory):
    """How a stream is made, and of what."""
    return (disk, on_disk) if request.param == "disk" else (resident, in_memory)


def assert_same(one: Views | None, other: Views | None) -> None:
    assert (one is None) == (other is None)
    if one is None or other is None:
        return
    assert len(one.images) == len(other.images)
    for images, others in zip(one.images, other.images, strict=True):
        assert torch.equal(images, others)
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.index, other.index)


def normalised(images: list[np.ndarray]) -> np.ndarray:
    """Normalise uint8 (3, H, W) images in float64."""
    mean, std = (np.array(values)[:, None, None] for values in (MEAN, STD))
    return (np.stack(images) / 255.0 - mean) / std


# --- both kinds of stream ------------------------------------------------------------------------------


def test_views_are_float_batches_of_the_sampled_images(kind):
    make, split = kind
    stream = make(split)
    assert stream.images_per_step == 5
    batch = stream.batch(2)
    assert batch.labels.tolist() == split.labels[batch.index.numpy()].tolist()
    assert batch.labels.dtype == batch.index.dtype == torch.int64
    assert len(batch.images) == 2
    for view in batch.images:
        assert view.shape == (5, 3, 8, 8)
        assert view.dtype == torch.float32
        assert view.is_contiguous(memory_format=torch.channels_last)


def test_two_views_of_an_image_differ(kind):
    make, split = kind
    same = (CROP, CROP) if make is disk else (WEAK, WEAK)
    one, other = make(split, augments=same).batch(0).images
    assert not torch.equal(one, other)
    assert sum(torch.equal(a, b) for a, b in zip(one, other, strict=True)) < 2


def test_a_view_is_the_same_whatever_the_other_views_are(kind):
    make, split = kind
    first, second = (CROP, RAND) if make is disk else (WEAK, STRONG)
    both, alone = make(split, augments=(first, second)).batch(4), make(split, augments=(first,)).batch(4)
    assert torch.equal(both.images[0], alone.images[0])


def test_a_step_depends_on_seed_and_step_alone(kind):
    make, split = kind
    source = make(split)
    in_order = [source.batch(step) for step in range(12)]
    for step in (11, 0, 7, 4, 3, 8, 8):
        assert_same(source.batch(step), in_order[step])
        assert_same(make(split).batch(step), in_order[step])
    other = make(split, seed=4).batch(0)
    assert not torch.equal(other.images[0], in_order[0].images[0])
    assert_same(make(split).batch(10**7), make(split).batch(10**7))


def test_the_same_image_looks_different_in_every_step(kind):
    make, split = kind
    source = make(split, sampler=Shuffled(np.array([4]), 1, 3))
    seen = [source.batch(step) for step in range(10)]
    assert {batch.index.tolist()[0] for batch in seen} == {4}
    assert len({batch.images[1].numpy().tobytes() for batch in seen}) == 10


# --- on disk -------------------------------------------------------------------------------------------


def test_views_on_disk_are_made_one_by_one(on_disk):
    sampler = WithReplacement(np.arange(23), 5, 3)
    batch = disk(on_disk, augments=(CROP, RAND), sampler=sampler).batch(7)
    drawn = sampler(7)
    assert batch.index.tolist() == drawn.index.tolist()
    for view, augment in enumerate((CROP, RAND)):
        images = []
        for place, index in enumerate(drawn.index.tolist()):
            rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([3, 7, place, 4, view])))
            images.append(augment(on_disk.image(index), rng).transpose(2, 0, 1))
        np.testing.assert_allclose(batch.images[view], normalised(images), rtol=0, atol=2e-6)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_views_on_disk_do_not_depend_on_workers_and_resume_at_any_step(on_disk, workers):
    source = disk(on_disk, augments=(CROP, RAND))
    expected = [source.batch(step) for step in range(9)]
    helped = disk(on_disk, workers, augments=(CROP, RAND))
    for step in (0, 1, 2, 6, 7, 8, 3, 3):
        assert_same(helped.batch(step), expected[step])


def test_an_image_is_read_once_for_all_its_views_and_resuming_replays_nothing(on_disk):
    counted = Counted(on_disk)
    batch = disk(counted, augments=(CROP, RAND, CROP)).batch(1000)
    assert counted.reads == batch.index.tolist()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_goes_on_after_a_damaged_image(tmp_path, workers):
    split = write_images(tmp_path, 23)
    whole = disk(split).batch(0)
    path = tmp_path / split.files.names[int(whole.index[3])]
    content = path.read_bytes()
    path.write_bytes(content[:50])
    source = disk(split, workers)
    with pytest.raises(DmixError, match="damaged"):
        source.batch(0)
    path.write_bytes(content)
    assert_same(source.batch(0), whole)


# --- in memory -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("augment", [WEAK, STRONG, Identity(), CROP], ids=["weak", "strong", "none", "crop"])
def test_views_in_memory_are_drawn_for_the_whole_batch(in_memory, augment):
    sampler = WithReplacement(np.arange(23), 5, 3)
    batch = resident(in_memory, augments=(WEAK, augment), sampler=sampler).batch(9)
    index = sampler(9).index
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([3, 9, 5, 1])))
    draws = torch.from_numpy(augment.draw(5, (8, 8), rng))
    images = torch.from_numpy(in_memory.images[index])
    whole = augment.apply(images, draws)
    np.testing.assert_allclose(batch.images[1], normalised(list(whole.numpy())), rtol=0, atol=2e-6)
    # and rows of a batch are what the same draws make of them elsewhere
    parts = [augment.apply(images[rows], draws[rows]) for rows in (slice(0, 2), slice(2, 5))]
    assert torch.equal(torch.cat(parts), whole)


def test_the_split_itself_is_never_changed(in_memory):
    before = in_memory.images.copy()
    source = resident(in_memory, augments=(Identity(), WEAK, STRONG))
    for step in range(3):
        source.batch(step)
    np.testing.assert_array_equal(in_memory.images, before)


def test_random_numbers_have_purposes_of_their_own():
    rngs = [epochs.batch_view_rng(3, step, view) for step in range(4) for view in range(4)]
    rngs += [epochs.step_rng(3, step) for step in range(4)]
    rngs += [
        epochs.view_rng(3, (step, place), view) for step in range(4) for place in (0, 5) for view in (0, 4)
    ]
    rngs += [epochs.sample_rng(3, step, index) for step in range(4) for index in range(4)]
    rngs += [epochs.augment_rng(3, step) for step in range(4)]
    assert len({rng.random() for rng in rngs}) == len(rngs)


# --- pairs ---------------------------------------------------------------------------------------------


def loader(split, labels: LabelSplit | None = LABELS, workers: int = 0, **changes) -> TwoStreamLoader:
    disk_ones = isinstance(split, FileSplit)
    settings = {
        "augments": {"augment": CROP if disk_ones else WEAK, "strong": RAND if disk_ones else STRONG},
        "read_options": ReadOptions(workers),
        "labelled": ("augment",),
        "unlabelled": ("augment", "strong"),
        "batch_size": 3,
        "unlabelled_ratio": 2,
        "sampling": "replacement",
        "seed_of": SEEDS.__getitem__,
        **changes,
    }
    return two_stream_loader(split, labels, mean=MEAN, std=STD, device=CPU, **settings)


@pytest.fixture(params=["disk", "memory"])
def split(request, on_disk, in_memory):
    return on_disk if request.param == "disk" else in_memory


def pairs(source: TwoStreamLoader, steps) -> list[TwoStreamBatch]:
    return [source.batch(step) for step in steps]


def test_a_pair_has_rows_of_both_parts(split):
    source = loader(split)
    assert source.images_per_step == 9
    assert source.steps_per_epoch == 0
    for pair in pairs(source, range(20)):
        assert len(pair.labelled.images) == 1
        assert len(pair.unlabelled.images) == 2
        assert len(pair.labelled.index) == 3
        assert len(pair.unlabelled.index) == 6
        assert set(pair.labelled.index.tolist()) <= set(LABELS.labelled.tolist())
        assert set(pair.unlabelled.index.tolist()) <= set(LABELS.unlabelled.tolist())


@pytest.mark.parametrize("sampling", ["shuffled", "replacement"])
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_pairs_depend_on_seeds_and_step_alone(split, sampling, workers):
    source = loader(split, sampling=sampling)
    expected = pairs(source, range(9))
    other = loader(split, workers=workers, sampling=sampling)
    for step in (7, 8, 0, 1, 2, 5, 5):
        found = other.batch(step)
        assert_same(found.labelled, expected[step].labelled)
        assert_same(found.unlabelled, expected[step].unlabelled)


def test_streams_are_independent_of_one_another(split):
    source = loader(split)
    for changed, kept, lost in (
        ({"labelled": 9, "unlabelled": 6}, "unlabelled", "labelled"),
        ({"labelled": 5, "unlabelled": 9}, "labelled", "unlabelled"),
    ):
        other = loader(split, seed_of=changed.__getitem__)
        same = [
            [getattr(each, name) for each in pairs(of, range(5))]
            for name in (kept,)
            for of in (source, other)
        ]
        for one, another in zip(*same, strict=True):
            assert_same(one, another)
        assert [getattr(each, lost).index.tolist() for each in pairs(source, range(5))] != [
            getattr(each, lost).index.tolist() for each in pairs(other, range(5))
        ]
    # nor does one change when the other has other rows, another ratio or is not there at all
    alone = loader(split, unlabelled=())
    for each, single in zip(pairs(source, range(5)), pairs(alone, range(5)), strict=True):
        assert_same(each.labelled, single.labelled)
    fewer = LabelSplit(LABELS.labelled[:4], LABELS.unlabelled, (), "")
    for each, single in zip(pairs(source, range(5)), pairs(loader(split, fewer), range(5)), strict=True):
        assert_same(each.unlabelled, single.unlabelled)


def test_streams_of_the_same_rows_do_not_run_in_step(split):
    everything = LabelSplit(np.arange(23), np.arange(23), (), "")
    source = loader(split, everything, unlabelled=("augment",), unlabelled_ratio=1, sampling="shuffled")
    for pair in pairs(source, range(7)):
        assert pair.labelled.index.tolist() != pair.unlabelled.index.tolist()


@pytest.mark.parametrize("changes", [{"unlabelled": ()}, {"unlabelled_ratio": 0}, {"labels": None}])
def test_there_may_be_no_unlabelled_stream(split, changes):
    source = loader(split, **changes)
    assert source.images_per_step == 3
    found = pairs(source, range(40))
    assert all(pair.unlabelled is None for pair in found)
    rows = {index for pair in found for index in pair.labelled.index.tolist()}
    assert rows == set(LABELS.labelled.tolist() if "labels" not in changes else range(23))


def test_shuffled_pairs_wrap_without_end(split):
    source = loader(split, sampling="shuffled", batch_size=4, unlabelled_ratio=1, unlabelled=("augment",))
    found = [index for pair in pairs(source, range(8)) for index in pair.labelled.index.tolist()]
    for start in range(0, 32, 8):
        assert sorted(found[start : start + 8]) == LABELS.labelled.tolist()
    assert found[:8] != found[8:16]


def test_images_in_memory_are_held_once(in_memory):
    source = loader(in_memory)
    assert source._labelled._resident is source._unlabelled._resident


class Touched:
    """Counts what is kept of a split after which resize."""

    def __init__(self) -> None:
        self.kept: list[object] = []

    def __call__(self, split, first, folder: Path, *, workers: int):
        del folder, workers
        self.kept.append(first)
        return split


def test_resized_images_are_kept_where_all_views_begin_with_that(on_disk, monkeypatch, tmp_path):
    kept = Touched()
    monkeypatch.setattr(feed, "cached", kept)
    squared = SquareRandAugment(first_side=12, **SQUARE)
    cases = [
        ({"augment": squared, "strong": RAND}, [RAND.first_resize, RAND.first_resize]),
        (
            {"augment": CROP, "strong": RAND},
            [],
        ),  # the labelled stream has none, the views of the other differ
        ({"augment": RAND, "strong": CROP}, [RAND.first_resize]),
        ({"augment": RAND, "strong": SquareRandAugment(first_side=14, **SQUARE)}, [RAND.first_resize]),
    ]
    for augments, expected in cases:
        loader(on_disk, augments=augments, read_options=ReadOptions(0, tmp_path))
        assert kept.kept == expected
        kept.kept.clear()


def test_keeping_resized_images_changes_no_pixel(on_disk, tmp_path):
    augments = {"augment": SquareRandAugment(first_side=12, **SQUARE), "strong": RAND}
    one = loader(on_disk, augments=augments)
    other = loader(on_disk, augments=augments, read_options=ReadOptions(0, tmp_path))
    for step in (0, 3):
        assert_same(one.batch(step).labelled, other.batch(step).labelled)
        assert_same(one.batch(step).unlabelled, other.batch(step).unlabelled)
    assert len(list(tmp_path.glob("*.bin"))) == 1


@pytest.mark.parametrize(
    ("workers", "loads", "expected"),
    [
        (0, [3, 12], [0, 0]),
        (1, [3, 12], [1, 1]),  # more than was said, but a stream of images on disk waits for its process
        (2, [3, 12], [1, 1]),
        (5, [3, 12], [1, 4]),
        (10, [3, 12], [2, 8]),
        (8, [64, 896], [1, 7]),
        (8, [896, 64], [7, 1]),
        (8, [24, 24], [4, 4]),
        (6, [24], [6]),
        (0, [24], [0]),
    ],
)
def test_worker_processes_are_shared_by_load(workers, loads, expected):
    assert shares_of(workers, loads) == expected


def test_each_stream_has_its_processes(on_disk):
    source = loader(on_disk, workers=5)
    assert (source._labelled._images._workers, source._unlabelled._images._workers) == (1, 4)


def test_what_a_stream_cannot_be_made_of(split):
    with pytest.raises(DmixError, match="unlabelled images need the augmentation 'strong'") as caught:
        loader(split, augments={"augment": CROP if isinstance(split, FileSplit) else WEAK})
    assert "there are augment" in caught.value.way_out
    with pytest.raises(DmixError, match="a step takes 9 labelled images, but there are 8"):
        loader(split, batch_size=9, sampling="shuffled")
    with pytest.raises(DmixError, match="a step takes 18 unlabelled images, but there are 15"):
        loader(split, unlabelled_ratio=6, sampling="shuffled")
    nothing = LabelSplit(np.arange(23), np.arange(0), (), "")
    for sampling in ("shuffled", "replacement"):
        with pytest.raises(DmixError, match="a step takes 6 unlabelled images, but there are 0"):
            loader(split, nothing, sampling=sampling)


def test_an_augmentation_without_the_form_is_an_error(on_disk, in_memory):
    with pytest.raises(DmixError, match="augmentation square_rand_augment is not for images in memory"):
        loader(in_memory, augments={"augment": CROP, "strong": RAND})
    with pytest.raises(DmixError, match="augmentation crop_flip is not for images on disk"):
        loader(on_disk, augments={"augment": WEAK, "strong": RAND})


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_has_the_same_pixels_and_is_not_waited_for(in_memory):
    held = Resident.of(in_memory, torch.device("cuda"))
    sampler = WithReplacement(np.arange(23), 5, 3)
    source = ResidentViews(held, sampler, (WEAK, STRONG), batch_size=5, mean=MEAN, std=STD, seed=3)
    source.batch(0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = source.batch(1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = resident(in_memory).batch(1)
    assert found.index.tolist() == expected.index.tolist()
    for view, other in zip(found.images, expected.images, strict=True):
        torch.testing.assert_close(view.cpu(), other, rtol=0, atol=2e-6)
