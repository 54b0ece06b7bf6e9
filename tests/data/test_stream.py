"""Streamed batches: a function of seed and step alone, whatever the processes; clean starts, ends, errors."""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from disk_images import Counted, write_images
from dmix.data.augment.rand_augment import RandAugment
from dmix.data.augment.random_resized_crop import RandomResizedCrop
from dmix.data.loading import chunks, epochs, workers
from dmix.data.loading.loader import Batch
from dmix.data.loading.stream import StreamEvaluation, StreamLoader
from dmix.data.sets.dataset import FileSplit
from dmix.data.views.resize_crop import ResizeCrop
from dmix.errors import DmixError

torch.set_num_threads(1)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CPU = torch.device("cpu")
CROP = RandomResizedCrop(size=8, scale=(0.08, 1.0), interpolation="bicubic", flip=0.5)
VIEW = ResizeCrop(shorter_side=12, size=8, interpolation="bilinear")


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> FileSplit:
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Several tasks for each batch, also of tiny ones; and no process outlives its test."""
    monkeypatch.setattr(chunks, "CHUNK", 2)
    yield
    if multiprocessing.active_children():
        gc.collect()  # pytest's record of an expected error is a cycle that holds the test's loader
    assert multiprocessing.active_children() == []


def loader(split, workers: int = 0, augment=CROP, seed: int = 3, batch_size: int = 5, **more) -> StreamLoader:
    feed = {"mean": MEAN, "std": STD, "seed": seed, "device": CPU, "workers": workers}
    return StreamLoader(split, augment, batch_size=batch_size, **feed, **more)


def evaluation(split, workers: int = 0, batch_size: int = 5, **more) -> StreamEvaluation:
    feed = {"mean": MEAN, "std": STD, "device": CPU, "workers": workers}
    return StreamEvaluation(split, VIEW, batch_size=batch_size, **feed, **more)


def assert_same(one: Batch, other: Batch) -> None:
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.index, other.index)


def normalised(images: list[np.ndarray]) -> np.ndarray:
    scaled = np.stack(images).transpose(0, 3, 1, 2) / 255.0
    return (scaled - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]


# --- training ------------------------------------------------------------------------------------------


def test_a_batch_is_made_of_its_samples_one_by_one(split):
    source = loader(split)
    assert source.steps_per_epoch == 4
    for step in (0, 3, 4, 9):
        epoch, place = divmod(step, 4)
        indices = np.random.Generator(np.random.PCG64(np.random.SeedSequence([3, epoch, 0]))).permutation(23)[
            5 * place : 5 * place + 5
        ]
        images = [
            CROP(
                split.image(i),
                np.random.Generator(np.random.PCG64(np.random.SeedSequence([3, epoch, 2, int(i)]))),
            )
            for i in indices
        ]
        batch = source.batch(step)
        assert batch.index.tolist() == indices.tolist()
        assert batch.labels.tolist() == split.labels[indices].tolist()
        assert batch.images.shape == (5, 3, 8, 8)
        assert batch.images.dtype == torch.float32
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        np.testing.assert_allclose(batch.images, normalised(images), rtol=0, atol=2e-6)


@pytest.mark.parametrize("count", [1, 3])
def test_results_do_not_depend_on_the_number_of_workers(split, count):
    augment = RandAugment(
        size=8, scale=(0.08, 1.0), interpolation="bicubic", flip=0.5,
        operations=2, magnitude=9, magnitude_std=0.5, erasing=0.25,
    )  # fmt: skip
    alone, helped = loader(split, augment=augment), loader(split, count, augment)
    for step in range(9):
        assert_same(alone.batch(step), helped.batch(step))


@pytest.mark.parametrize("count", [0, 2])
def test_a_run_resumes_at_any_step_and_steps_come_in_any_order(split, count):
    in_order = loader(split)
    expected = [in_order.batch(step) for step in range(12)]
    resumed = loader(split, count)
    for step in (7, 8, 9, 2, 11, 11, 0):
        assert_same(resumed.batch(step), expected[step])


def test_resuming_replays_nothing(split):
    counted = Counted(split)
    batch = loader(counted).batch(1000)
    assert counted.reads == batch.index.tolist()


def test_an_epoch_visits_each_sample_at_most_once_and_epochs_and_seeds_differ(split):
    def indices(source, epoch):
        return [i for step in range(4 * epoch, 4 * epoch + 4) for i in source.batch(step).index.tolist()]

    source = loader(split)
    assert len(set(indices(source, 0))) == 20
    assert indices(source, 0) != indices(source, 1)
    assert indices(source, 0) != indices(loader(split, seed=4), 0)


def test_a_sample_looks_different_in_every_epoch_and_from_every_other(tmp_path):
    one = write_images(tmp_path, 1)
    source = loader(one, batch_size=1)
    assert len({source.batch(step).images.numpy().tobytes() for step in range(10)}) == 10
    rngs = [epochs.sample_rng(3, epoch, index).random() for epoch in range(3) for index in range(3)]
    rngs += [epochs.augment_rng(3, epoch).random() for epoch in range(3)]
    assert len(set(rngs)) == 12


def test_processes_that_share_a_batch_make_their_rows_alone(split):
    whole = loader(split, batch_size=6).batch(2)
    for rows in (slice(0, 3), slice(3, 6)):
        counted = Counted(split)
        part = loader(counted, batch_size=6, rows=rows).batch(2)
        assert torch.equal(part.images, whole.images[rows])
        assert torch.equal(part.labels, whole.labels[rows])
        assert part.index.tolist() == whole.index[rows].tolist() == counted.reads


def test_a_split_below_one_batch_is_an_error(split):
    with pytest.raises(DmixError, match=r"batch_size is 24.*23 images"):
        loader(split, batch_size=24)
    assert loader(split, batch_size=23).steps_per_epoch == 1


# --- evaluation ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 2])
def test_evaluation_gives_all_samples_in_order_each_time(split, count):
    source = evaluation(split, count)
    for _ in range(2):
        batches = list(source)
        assert [len(labels) for _, labels in batches] == [5, 5, 5, 5, 3]
        assert len(source) == 5
        images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        assert labels.tolist() == split.labels.tolist()
        expected = normalised([VIEW(split.image(index)) for index in range(23)])
        np.testing.assert_allclose(images, expected, rtol=0, atol=2e-6)
        assert batches[0][0].is_contiguous(memory_format=torch.channels_last)


def test_processes_that_share_a_reading_make_their_batches_alone(split):
    whole = list(evaluation(split))
    counted = Counted(split)
    own = evaluation(counted, share=slice(1, None, 2))
    assert len(own) == 2
    for (images, labels), (expected, expected_labels) in zip(own, whole[1::2], strict=True):
        assert torch.equal(images, expected)
        assert torch.equal(labels, expected_labels)
    assert counted.reads == [*range(5, 10), *range(15, 20)]


def test_a_reading_between_steps_disturbs_neither(split):
    expected = loader(split)
    training, reading = loader(split, 2), evaluation(split, 2)
    first = list(reading)
    for step in range(4):
        assert_same(training.batch(step), expected.batch(step))
        for (images, _), (again, _) in zip(first, reading, strict=True):
            assert torch.equal(images, again)


# --- random numbers, errors, processes -----------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 2])
def test_global_generators_are_not_advanced(split, count):
    """A run that resumes starts its loader once more; what torch draws by itself must not notice."""
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    source = loader(split, count)
    source.batch(0)
    source.batch(7)
    list(evaluation(split, count))
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert before == after


@pytest.mark.parametrize("count", [0, 2])
def test_a_damaged_image_is_named_at_the_step_that_needs_it(tmp_path, count):
    split = write_images(tmp_path)
    whole = loader(split)
    expected = [whole.batch(step) for step in range(4)]
    path = tmp_path / split.files.names[expected[2].index[3]]
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    source = loader(split, count)
    for step in range(2):
        assert_same(source.batch(step), expected[step])
    for _ in range(2):
        with pytest.raises(DmixError, match=f"^the image {path.name} is damaged") as caught:
            source.batch(2)
        assert "Traceback" not in str(caught.value)
        assert caught.value.way_out == "get the data set again, or compare it with its source"
    assert_same(source.batch(3), expected[3])
    path.write_bytes(content)
    assert_same(source.batch(2), expected[2])


@pytest.mark.parametrize("count", [0, 2])
def test_a_missing_image_is_named(tmp_path, count):
    split = write_images(tmp_path)
    (tmp_path / "07.jpg").unlink()
    with pytest.raises(DmixError, match=r"cannot read a file of the data set: .*07\.jpg") as caught:
        list(evaluation(split, count))
    assert "whole" in caught.value.way_out
    assert caught.value.exit_code == 1


def test_processes_start_with_the_first_batch_and_end_with_the_loader(split):
    source = loader(split, 2)
    assert multiprocessing.active_children() == []
    source.batch(0)
    first = {process.pid for process in multiprocessing.active_children()}
    source.batch(1)
    assert {process.pid for process in multiprocessing.active_children()} == first
    assert len(first) == 2
    gc.disable()
    try:
        del source
        assert multiprocessing.active_children() == []
    finally:
        gc.enable()


def divide_by_zero(task: int) -> torch.Tensor:
    return torch.tensor(task // 0)


def test_processes_end_where_a_reading_is_left_early_or_fails(split, tmp_path):
    for _ in evaluation(split, 2):
        assert len(multiprocessing.active_children()) == 2
        break
    assert multiprocessing.active_children() == []
    broken = write_images(tmp_path)
    (tmp_path / "20.jpg").write_bytes(b"")
    with pytest.raises(DmixError, match=r"20\.jpg") as caught:
        list(evaluation(broken, 2))
    assert caught.tb is not None  # frames are still held
    assert multiprocessing.active_children() == []
    with pytest.raises(ZeroDivisionError) as caught:
        list(workers.parallel_map(divide_by_zero, range(3), workers=2, ahead=2, pin=False))
    assert caught.tb is not None
    assert multiprocessing.active_children() == []


def test_signals_to_all_processes_are_for_the_run_alone(split):
    source, expected = loader(split, 2), loader(split)
    source.batch(0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        for process in multiprocessing.active_children():
            os.kill(process.pid, number)
    for step in range(1, 12):
        assert_same(source.batch(step), expected.batch(step))


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import torch
from pathlib import Path
from disk_images import write_images
from dmix.data.augment.random_resized_crop import RandomResizedCrop
from dmix.data.loading.stream import StreamLoader
split = write_images(Path({folder!r}))
crop = RandomResizedCrop(size=8, scale=(0.08, 1.0), interpolation="bicubic", flip=0.5)
feed = dict(batch_size=5, mean=(0, 0, 0), std=(1, 1, 1), seed=0, device=torch.device("cpu"), workers=2)
cycle = [StreamLoader(split, crop, **feed)]
cycle.append(cycle)
cycle[0].batch(0)
StreamLoader(split, lambda image, rng: 1 / 0, **feed).batch(0)
"""


def test_a_program_that_fails_with_loaders_in_its_hands_says_so_once_and_ends(tmp_path):
    """Two loaders, one in a cycle, one in the traceback of an error that is no DmixError."""
    script = SCRIPT.format(tests=str(Path(__file__).parents[1] / "helpers"), folder=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip().endswith("ZeroDivisionError: division by zero")
    assert done.stderr.count("Traceback (most recent call last)") == 2  # the worker's within the program's
    assert "ignored" not in done.stderr


def test_a_run_forked_from_another_process_may_leave_at_once(split):
    """As a run of the preloaded helper, which ends by os._exit: its workers notice and end by themselves."""
    receiver, sender = os.pipe()
    expected = loader(split).batch(0).images.sum().item()
    if (child := os.fork()) == 0:
        source = loader(split, 2)
        total = source.batch(0).images.sum().item()
        pids = " ".join(str(process.pid) for process in multiprocessing.active_children())
        os.write(sender, f"{total} {pids}".encode())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    total, *pids = os.read(receiver, 1000).decode().split()
    os.close(receiver)
    os.close(sender)
    assert float(total) == expected
    assert len(pids) == 2
    deadline = time.monotonic() + 30
    while any(running(int(pid)) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def doubled(task: int) -> torch.Tensor:
    """Return what there is to know of a task, and which process did it."""
    return torch.tensor([2 * task, os.getpid()])


def test_tasks_are_done_ahead_but_no_further_than_asked():
    read = []

    def tasks():
        for task in range(1000):
            read.append(task)
            yield task

    results = workers.parallel_map(doubled, tasks(), workers=2, ahead=6, pin=False)
    assert read == []
    found = [next(results).tolist() for _ in range(4)]
    assert [double for double, _ in found] == [0, 2, 4, 6]
    assert len({pid for _, pid in found}) == 2
    assert len(read) == 4 + 6
    results.close()
    alone = list(workers.parallel_map(doubled, range(3), workers=0, ahead=6, pin=False))
    assert [result.tolist() for result in alone] == [[2 * task, os.getpid()] for task in range(3)]


def test_a_worker_does_not_end_the_processes_of_a_loader_that_it_inherited_as_garbage(split):
    source = loader(split, 1)
    source.batch(0)
    process = multiprocessing.active_children()[0]
    cycle = [source]
    cycle.append(cycle)
    gc.disable()
    try:
        del source, cycle
        list(workers.parallel_map(collect_garbage, range(2), workers=1, ahead=2, pin=False))
        process.join(1)
        assert process.is_alive()
    finally:
        gc.enable()
    gc.collect()
    assert not process.is_alive()


def collect_garbage(task: int) -> torch.Tensor:
    gc.collect()
    return torch.tensor(task)
