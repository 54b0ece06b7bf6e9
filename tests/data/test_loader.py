import numpy as np
import pytest
import torch

from dmix.data.augment.crop_flip import CropFlip
from dmix.data.augment.identity import Identity
from dmix.data.loading.loader import EvaluationSet, ResidentLoader
from dmix.data.sets.dataset import Split
from dmix.errors import DmixError

MEAN, STD = (0.49, 0.48, 0.45), (0.2, 0.25, 0.3)
CPU = torch.device("cpu")


def split(n: int = 23, height: int = 6, width: int = 8) -> Split:
    rng = np.random.default_rng(0)
    return Split(rng.integers(0, 256, (n, 3, height, width), np.uint8), rng.integers(0, 7, n))


def loader(data: Split | None = None, augment=None, seed: int = 3, batch_size: int = 5) -> ResidentLoader:
    augment = augment or CropFlip(padding=2, flip=0.5)
    return ResidentLoader(
        data or split(), augment, batch_size=batch_size, mean=MEAN, std=STD, seed=seed, device=CPU
    )


def closed_form(images: np.ndarray) -> np.ndarray:
    mean, std = (np.array(values)[:, None, None] for values in (MEAN, STD))
    return (images / 255.0 - mean) / std


def epoch(source: ResidentLoader, number: int) -> list[int]:
    steps = range(number * source.steps_per_epoch, (number + 1) * source.steps_per_epoch)
    return [index for step in steps for index in source.batch(step).index.tolist()]


def test_an_epoch_visits_each_sample_at_most_once_and_all_when_batches_fit():
    source = loader()
    assert source.steps_per_epoch == 4
    assert len(set(epoch(source, 0))) == 20
    assert sorted(epoch(loader(split(20)), 0)) == list(range(20))


def test_epochs_and_seeds_differ():
    source = loader()
    assert epoch(source, 0) != epoch(source, 1)
    assert epoch(source, 0) != epoch(loader(seed=4), 0)
    one, two = loader(split(1), batch_size=1), loader(split(1), batch_size=1)
    drawn = {one.batch(step).images.numpy().tobytes() for step in range(20)}
    assert len(drawn) > 5  # the same sample, augmented anew every epoch
    assert drawn == {two.batch(step).images.numpy().tobytes() for step in reversed(range(20))}


def test_a_batch_depends_on_seed_and_step_alone():
    source = loader()
    in_order = [source.batch(step) for step in range(12)]
    for step in (11, 0, 7, 4, 3, 8, 8):
        for other in (source.batch(step), loader().batch(step)):
            assert torch.equal(other.images, in_order[step].images)
            assert torch.equal(other.labels, in_order[step].labels)
            assert torch.equal(other.index, in_order[step].index)


def test_augmentation_goes_with_the_sample_not_with_its_place_in_a_batch():
    small, large = loader(split(20), batch_size=5), loader(split(20), batch_size=10)
    halves = torch.cat([small.batch(0).images, small.batch(1).images])
    assert torch.equal(halves, large.batch(0).images)


def test_images_are_normalised_and_lie_channels_last():
    data = split()
    batch = loader(data, Identity()).batch(6)
    assert batch.images.dtype == torch.float32
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.labels.dtype == batch.index.dtype == torch.int64
    np.testing.assert_array_equal(batch.labels, data.labels[batch.index])
    np.testing.assert_allclose(batch.images, closed_form(data.images[batch.index]), rtol=0, atol=2e-6)


def test_the_split_itself_is_never_changed():
    data = split()
    before = data.images.copy()
    loader(data, Identity()).batch(0)
    list(EvaluationSet(data, batch_size=4, mean=MEAN, std=STD, device=CPU))
    np.testing.assert_array_equal(data.images, before)


def test_a_split_below_one_batch_is_an_error():
    with pytest.raises(DmixError, match=r"batch_size is 24.*23 images"):
        loader(batch_size=24)
    assert loader(batch_size=23).steps_per_epoch == 1


def test_evaluation_gives_all_samples_in_order_each_time():
    data = split()
    source = EvaluationSet(data, batch_size=5, mean=MEAN, std=STD, device=CPU)
    for _ in range(2):
        batches = list(source)
        assert len(batches) == len(source) == 5
        images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        np.testing.assert_array_equal(labels, data.labels)
        np.testing.assert_allclose(images, closed_form(data.images), rtol=0, atol=2e-6)
        assert batches[0][0].is_contiguous(memory_format=torch.channels_last)
