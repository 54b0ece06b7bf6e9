"""What every choice of labelled images must keep to, on a small data set with the classes of its run's."""

from __future__ import annotations

import numpy as np
import pytest

from dmix.data.labels.splits import digest_of, names_of
from dmix.engine.parts import load_part
from dmix.errors import DmixError
from every_part import cases, first_runs
from small_sets import dataset_of
from values import numpy_state


@pytest.fixture(params=cases("labels"))
def case(request):
    """The part's settings, and a data set; of a part without a run that of the first one there is."""
    settings, spec = request.param
    if spec is not None:
        return settings, dataset_of(spec)
    dataset = dataset_of(next(iter(first_runs("labels").values()))[0])
    try:
        load_part("labels", settings, dataset, 0)
    except DmixError as error:
        pytest.skip(f"no smoke run uses {settings['use']}, and it does not do here: {error}")
    return settings, dataset


def draw(case, seed=0):
    settings, dataset = case
    return load_part("labels", settings, dataset, seed)


def test_labelled_and_unlabelled_images_are_the_train_split(case):
    everything = np.arange(len(case[1].splits["train"]))
    for seed in (0, 1, 7):
        found = draw(case, seed)
        for rows in (found.labelled, found.unlabelled):
            assert rows.dtype == np.int64
            assert (np.diff(rows) > 0).all()
        assert np.array_equal(np.union1d(found.labelled, found.unlabelled), everything)
        shared = np.intersect1d(found.labelled, found.unlabelled)
        # Disjoint, as in transfer learning, or all are unlabelled too, as in semi-supervised learning.
        assert len(shared) == 0 or np.array_equal(found.unlabelled, everything)


def test_every_class_has_labels_and_sizes_are_as_the_settings_say(case):
    settings, dataset = case
    labels = dataset.splits["train"].labels
    counts = np.bincount(labels[draw(case).labelled], minlength=dataset.classes)
    assert counts.min() > 0
    if "count" in settings:
        assert counts.sum() == settings["count"]
        assert len(set(counts.tolist())) == 1
    if "percent" in settings:
        assert np.array_equal(counts, -(-settings["percent"] * np.bincount(labels) // 100))


def test_names_and_digest_are_those_of_the_labelled_images(case):
    found = draw(case)
    assert found.names == tuple(sorted(names_of(case[1], found.labelled)))
    assert found.digest == digest_of(found.names)


def test_a_seed_always_has_the_same_labels_and_changes_nothing(case):
    before = case[1].splits["train"].labels.copy()
    state = numpy_state()
    for seed in (0, 3):
        assert np.array_equal(draw(case, seed).labelled, draw(case, seed).labelled)
    assert np.array_equal(case[1].splits["train"].labels, before)
    assert np.array_equal(numpy_state(), state)
