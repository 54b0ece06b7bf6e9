import hashlib

import numpy as np
import pytest

from dmix.data.sets.dataset import Dataset, Split


def splits() -> dict[str, Split]:
    rng = np.random.default_rng(0)
    return {
        name: Split(rng.integers(0, 256, (n, 3, 4, 4), np.uint8), np.arange(n) * 2 % 3)
        for name, n in (("train", 5), ("test", 2))
    }


def dataset(parts: dict[str, Split]) -> Dataset:
    return Dataset("toy", "embedded", 3, parts)


def test_fingerprint_is_a_sha256_of_content_and_not_of_order():
    parts = splits()
    expected = hashlib.sha256()
    for name, n in (("test", 2), ("train", 5)):
        expected.update(f"{name} ({n}, 3, 4, 4) ({n},)\n".encode())
        expected.update(parts[name].images.tobytes() + parts[name].labels.tobytes())
    assert dataset(parts).fingerprint == expected.hexdigest()
    assert dataset(dict(reversed(parts.items()))).fingerprint == expected.hexdigest()


@pytest.mark.parametrize("name", ["train", "test"])
def test_one_pixel_or_one_label_changes_the_fingerprint(name):
    before = dataset(splits()).fingerprint
    pixel, label = splits(), splits()
    pixel[name].images[1, 2, 3, 3] ^= 1
    label[name].labels[0] += 1
    assert len({before, dataset(pixel).fingerprint, dataset(label).fingerprint}) == 3


def test_a_view_has_the_fingerprint_of_its_copy():
    parts = splits()
    turned = Split(parts["train"].images[:, :, ::-1], parts["train"].labels[::-1])
    copied = Split(turned.images.copy(), turned.labels.copy())
    assert dataset({"train": turned}).fingerprint == dataset({"train": copied}).fingerprint


def test_a_split_checks_its_arrays():
    images, labels = np.zeros((2, 3, 4, 4), np.uint8), np.zeros(2, np.int64)
    assert len(Split(images, labels)) == 2
    for wrong in (images.astype(np.float32), images[0], images[:, :1]):
        with pytest.raises(ValueError, match="uint8"):
            Split(wrong, labels)
    for wrong in (labels.astype(np.int32), labels[:1]):
        with pytest.raises(ValueError, match="int64"):
            Split(images, wrong)
