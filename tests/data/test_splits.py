from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dmix.data.embedded import editions as embedded
from dmix.data.labels.splits import digest_of, fewest_of_a_class, hash_draw, hold_out, quota, split_labels
from dmix.data.sets.cub import cub
from dmix.data.sets.dataset import Dataset, FileSplit, Split
from dmix.errors import DmixError

GOLDENS = json.loads(Path(__file__).with_name("split_goldens.json").read_text())
TOY = GOLDENS["tl_hash_draw"]
TOY_SIZES = tuple(TOY["toy_classes"].values())
PERCENTS = (15, 30, 50)


class Files:
    """Image files that are only names."""

    def __init__(self, names):
        self.names = tuple(names)

    def sizes(self):
        return np.ones(len(self.names), np.int64)

    def read(self, index):
        raise NotImplementedError


def dataset(rows, classes=3, name="toy"):
    names, labels = zip(*rows, strict=True)
    test = FileSplit(Files(["test/c0/img_000.jpg"]), np.zeros(1, np.int64))
    train = FileSplit(Files(names), np.array(labels, np.int64))
    return Dataset(name, "embedded", classes, {"train": train, "test": test})


def toy_rows(sizes=TOY_SIZES):
    return [(f"train/c{c}/img_{i:03d}.jpg", c) for c, n in enumerate(sizes) for i in range(n)]


def shuffled(rows, seed=0):
    return [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]


def names_of(data, rows):
    return [data.splits["train"].files.names[i] for i in rows]


@pytest.mark.parametrize("mix", [list, shuffled], ids=["sorted", "shuffled"])
def test_draw_is_golden_in_every_order_of_the_files(mix):
    data = dataset(mix(toy_rows()))
    train = data.splits["train"]
    quotas = quota(np.bincount(train.labels), 15)
    drawn = hash_draw("toy", 0, train.files.names, train.labels, quotas)
    assert names_of(data, drawn) == TOY["seed0_rate15"]
    for seed in (0, 1):
        for percent, digest in TOY[f"digest_seed{seed}"].items():
            assert split_labels(data, int(percent), seed).digest == digest


@pytest.mark.parametrize("percent", [*PERCENTS, 1, 99, 100])
def test_parts_are_disjoint_and_together_everything(percent):
    data = dataset(shuffled(toy_rows()))
    found = split_labels(data, percent, 5)
    assert found.labelled.dtype == found.unlabelled.dtype == np.int64
    both = np.concatenate([found.labelled, found.unlabelled])
    assert sorted(both.tolist()) == list(range(len(data.splits["train"])))
    for part in (found.labelled, found.unlabelled):
        assert part.tolist() == sorted(part.tolist())
    assert found.names == tuple(sorted(names_of(data, found.labelled)))
    assert not any(name.startswith("test/") for name in found.names)
    assert found.digest == digest_of(reversed(found.names))
    counts = np.bincount(data.splits["train"].labels[found.labelled], minlength=3)
    assert counts.tolist() == [math.ceil(Fraction(percent, 100) * n) for n in TOY_SIZES]
    assert fewest_of_a_class(data, found.labelled) == counts.min()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_more_labels_contain_fewer_and_seeds_differ(seed):
    data = dataset(toy_rows())
    drawn = [set(split_labels(data, percent, seed).names) for percent in (*PERCENTS, 100)]
    assert drawn[0] < drawn[1] < drawn[2] < drawn[3]
    assert drawn[0] != set(split_labels(data, 15, seed + 1).names)
    renamed = dataset(toy_rows(), name="other")
    assert drawn[0] != set(split_labels(renamed, 15, seed).names)


def test_draw_is_the_naive_rule():
    data = dataset(shuffled(toy_rows(), 4))
    expected = set()
    for c, n in enumerate(TOY_SIZES):
        names = [f"train/c{c}/img_{i:03d}.jpg" for i in range(n)]
        names.sort(key=lambda name: hashlib.sha256(f"toy|7|{name}".encode()).hexdigest())
        expected |= set(names[: -(-30 * n // 100)])
    assert set(split_labels(data, 30, 7).names) == expected


@pytest.mark.parametrize("name", GOLDENS["tl_expected_sizes"])
def test_sizes_are_those_of_the_published_lists(name):
    expected = GOLDENS["tl_expected_sizes"][name]
    histogram = GOLDENS["tl_per_class_histograms"][name]
    sizes = np.repeat([int(size) for size in histogram], list(histogram.values()))
    assert len(sizes) == expected["classes"]
    for percent in (*PERCENTS, 100):
        assert quota(sizes, percent).sum() == expected[str(percent)]
    data = dataset(toy_rows(sizes.tolist()), classes=len(sizes), name=name)
    assert len(split_labels(data, 15, 0).labelled) == expected["15"]


def test_quota_has_no_rounding_error():
    for percent in range(1, 101):
        for n in range(60):
            assert quota(n, percent) == math.ceil(Fraction(percent * n, 100))


def test_a_split_is_the_same_in_another_process():
    program = (
        "import numpy as np, sys; sys.path.insert(0, sys.argv[1]); import test_splits as t;"
        "print(t.split_labels(t.dataset(t.toy_rows()), 30, 0).labelled.tolist())"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent)]
    found = subprocess.run(
        command, env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True
    )
    assert json.loads(found.stdout) == split_labels(dataset(toy_rows()), 30, 0).labelled.tolist()


@pytest.mark.parametrize("sizes", [(29, 30, 24), (2, 3, 4), (5, 9, 10)])
def test_holding_out_is_stratified_and_complete(sizes):
    data = dataset(shuffled(toy_rows(sizes)))
    rows = split_labels(data, 100, 0).labelled
    fit, held_out = hold_out(data, rows, 80, 0)
    assert sorted([*fit, *held_out]) == rows.tolist()
    labels = data.splits["train"].labels
    expected = [min(n - 1, math.ceil(Fraction(80 * n, 100))) for n in sizes]
    assert np.bincount(labels[fit]).tolist() == expected
    assert np.bincount(labels[held_out]).min() >= 1
    for part in (fit, held_out):
        assert part.tolist() == sorted(part.tolist())
    ordered = dataset(toy_rows(sizes))
    again = hold_out(ordered, split_labels(ordered, 100, 0).labelled, 80, 0)
    assert sorted(names_of(ordered, again[1])) == sorted(names_of(data, held_out))


def test_holding_out_stays_inside_the_labelled_images():
    data = dataset(toy_rows())
    labelled = split_labels(data, 30, 1).labelled
    fit, held_out = hold_out(data, labelled, 80, 1)
    assert sorted([*fit, *held_out]) == labelled.tolist()


def test_embedded_birds_can_be_split(tmp_path):
    embedded.embed(tmp_path, ["cub"])
    birds = cub(tmp_path, edition="embedded", classes=20, train_size=300, test_size=200)
    found = split_labels(birds, 30, 0)
    assert np.bincount(birds.splits["train"].labels[found.labelled]).tolist() == [5] * 20
    assert len(found.unlabelled) == 200
    assert set(found.names).isdisjoint(birds.splits["test"].files.names)


def test_images_without_paths_cannot_be_drawn():
    split = Split(np.zeros((6, 3, 2, 2), np.uint8), np.array([0, 0, 1, 1, 2, 2]))
    data = Dataset("cifar10", "real", 3, {"train": split, "test": split})
    for attempt in (lambda: split_labels(data, 15, 0), lambda: hold_out(data, np.arange(6), 80, 0)):
        with pytest.raises(DmixError, match="cifar10 have no paths"):
            attempt()


@pytest.mark.parametrize("percent", [0, 101, -5])
def test_percent_is_checked(percent):
    with pytest.raises(DmixError, match=f"{percent} %"):
        split_labels(dataset(toy_rows()), percent, 0)
    with pytest.raises(DmixError, match=f"{percent} %"):
        hold_out(dataset(toy_rows()), np.arange(83), percent, 0)


def test_a_class_without_images_is_named():
    rows = [(name, 2 * label) for name, label in toy_rows((3, 4))]
    with pytest.raises(DmixError, match="class 1 of toy"):
        split_labels(dataset(rows), 50, 0)


def test_one_label_of_a_class_cannot_be_held_out():
    data = dataset(toy_rows((4, 1, 4)))
    with pytest.raises(DmixError, match=r"class 1 of toy has 1 labelled"):
        hold_out(data, np.arange(9), 80, 0)


def test_nothing_is_drawn_of_nothing():
    assert hash_draw("toy", 0, [], np.zeros(0, np.int64), np.zeros(3, np.int64)).tolist() == []
