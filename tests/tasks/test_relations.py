"""Estimators of a class relation as parts; test_transfer_relationship.py has their mathematics."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from dmix.data.sets.dataset import Dataset, FileSplit
from dmix.engine.evidence import Evidence
from dmix.errors import DmixError
from dmix.grid.parts import read_part
from dmix.methods.class_relations.direct import direct
from dmix.methods.class_relations.reverse import reverse
from dmix.methods.transfer.class_relation import source_probabilities
from dmix.methods.transfer.source_regression import learn_class_relation
from transfer_goldens import GOLDENS, doubles, is_golden

CLASSES, SOURCES, EACH = 4, 6, 11
SETTINGS = {"source_scale": 0.9, "fit_percent": 80, "largest_scale": 1000.0}
# Of the specification of the estimator, written out once more.
STRENGTHS = [1e4, 3e3, 1e3, 3e2, 1e2, 30, 10, 3, 1, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4]


class Names:
    """Image files that are only names."""

    def __init__(self, names):
        self.names = tuple(names)

    def sizes(self):
        return np.ones(len(self.names), np.int64)

    def read(self, index):
        raise NotImplementedError


def evidence(labelled=(EACH,) * CLASSES, order=None, noise=1.5):
    """Of each class `labelled` images have labels. An image's logits go with its name, not its place."""
    names = [f"images/{c}/{i:02d}.jpg" for c in range(CLASSES) for i in range(EACH)]
    labels = np.repeat(np.arange(CLASSES), EACH)
    means = np.random.default_rng(0).normal(size=(CLASSES, SOURCES)) * 2
    logits = means[labels] + np.random.default_rng(1).normal(size=(len(names), SOURCES)) * noise
    known = np.array([i < labelled[c] for c in range(CLASSES) for i in range(EACH)])
    order = np.arange(len(names)) if order is None else order
    train = FileSplit(Names([names[i] for i in order]), labels[order])
    test = FileSplit(Names(["test.jpg"]), np.zeros(1, np.int64))
    rows = np.flatnonzero(known[order])
    return Evidence(
        torch.from_numpy(logits[order][rows]).float(),
        torch.from_numpy(train.labels[rows]),
        CLASSES,
        Dataset("toy", "embedded", CLASSES, {"train": train, "test": test}),
        rows,
    )


def of_golden():
    given = GOLDENS["co_tuning"]["inputs"]
    labels = torch.tensor(given["target_labels"])
    train = FileSplit(Names(f"{i}.jpg" for i in range(len(labels))), labels.numpy())
    data = Dataset("toy", "embedded", 3, {"train": train, "test": train})
    return Evidence(doubles(given["source_probs"]).log(), labels, 3, data, np.arange(len(labels)))


def test_direct_is_golden():
    found = direct(of_golden(), source_scale=1.0)
    is_golden(found.matrix, GOLDENS["co_tuning"]["expected"]["relationship_direct"])
    assert (found.estimator, found.fallback) == ("direct", "")
    assert found.strength is found.scale is found.accuracy is None


def test_direct_is_the_mean_of_a_naive_loop():
    given = evidence(noise=3.0)
    found = direct(given, source_scale=0.9).matrix
    for c in range(CLASSES):
        rows = [np.exp(0.9 * z) for z in given.logits[given.labels == c].double().numpy()]
        expected = np.mean([row / row.sum() for row in rows], axis=0)
        np.testing.assert_allclose(found[c].numpy(), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("percent", "fitted"), [(80, 9), (50, 6), (99, 10)])
def test_reverse_holds_images_out_by_the_hashes_of_their_names(percent, fitted):
    given = evidence()
    names = given.dataset.splits["train"].files.names
    fit = []
    for c in range(CLASSES):
        own = [i for i, row in enumerate(given.rows) if given.labels[i] == c]
        own.sort(key=lambda i: hashlib.sha256(f"toy|0|{names[given.rows[i]]}".encode()).hexdigest())
        fit += own[:fitted]
    held_out = [i for i in range(len(given.rows)) if i not in fit]
    p = source_probabilities(given.logits, 0.9)
    parts = [(p[sorted(part)], given.labels[sorted(part)]) for part in (fit, held_out)]
    expected = learn_class_relation(*parts, CLASSES, strengths=STRENGTHS, largest_scale=1000.0)
    found = reverse(given, **{**SETTINGS, "fit_percent": percent})
    # To the solver's tolerance: where arrays lie in memory decides how their sums are rounded.
    assert torch.allclose(found.matrix, expected.matrix, rtol=1e-5, atol=1e-9)
    assert found.scale == pytest.approx(expected.scale, rel=1e-6)
    assert (found.strength, found.accuracy) == (expected.strength, expected.accuracy)
    assert (found.estimator, found.fallback) == ("reverse", "")


def test_reverse_only_knows_the_labelled_images():
    some = reverse(evidence(labelled=(3, 5, 4, 11)), **SETTINGS)
    assert not torch.allclose(some.matrix, reverse(evidence(), **SETTINGS).matrix, atol=1e-3)
    assert 0 < some.accuracy <= 1


@pytest.mark.parametrize("estimator", ["direct", "reverse"])
def test_rows_are_distributions_and_favour_what_the_network_sees(estimator):
    given = evidence(noise=0.3)
    found = reverse(given, **SETTINGS) if estimator == "reverse" else direct(given, source_scale=0.9)
    assert found.matrix.dtype == torch.float64
    assert found.matrix.shape == (CLASSES, SOURCES)
    assert bool((found.matrix >= 0).all())
    torch.testing.assert_close(found.matrix.sum(1), torch.ones(CLASSES).double(), rtol=0, atol=1e-12)
    seen = torch.stack([given.logits[given.labels == c].mean(0) for c in range(CLASSES)])
    assert found.matrix.argmax(1).tolist() == seen.argmax(1).tolist()


def test_learning_it_twice_gives_the_same_bits():
    one, other = reverse(evidence(), **SETTINGS), reverse(evidence(), **SETTINGS)
    assert torch.equal(one.matrix, other.matrix)
    assert (one.strength, one.scale, one.accuracy) == (other.strength, other.scale, other.accuracy)


@pytest.mark.parametrize("labelled", [(EACH,) * CLASSES, (3, 5, 4, 11), (1, 5, 4, 11)])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_files_does_not_matter(labelled, seed):
    order = np.random.default_rng(seed).permutation(CLASSES * EACH)
    one, other = (reverse(evidence(labelled, o), **SETTINGS) for o in (None, order))
    # sums are in another order, so the last digits may differ, and a fit ends within its precision
    torch.testing.assert_close(one.matrix, other.matrix, rtol=0, atol=1e-6)
    assert (one.estimator, one.strength, one.accuracy) == (other.estimator, other.strength, other.accuracy)


def test_a_class_with_one_labelled_image_makes_it_the_direct_estimator_which_it_says():
    given = evidence(labelled=(5, 1, 2, 5))
    found = reverse(given, **SETTINGS)
    assert torch.equal(found.matrix, direct(given, source_scale=0.9).matrix)
    assert found.estimator == "direct"
    assert found.fallback == "a class has 1 labelled image, and none can be held out"
    assert found.strength is found.scale is found.accuracy is None
    assert reverse(evidence(labelled=(5, 2, 2, 5)), **SETTINGS).estimator == "reverse"


def test_a_class_without_labelled_images_is_refused():
    given = evidence(labelled=(5, 0, 2, 5))
    for call in (lambda: direct(given, source_scale=0.9), lambda: reverse(given, **SETTINGS)):
        with pytest.raises(DmixError) as caught:
            call()
        assert caught.value.message == "the class relation of toy cannot be learned: no row has the class 1"
        assert caught.value.way_out == "label at least one image of every class"


def test_a_regression_that_does_not_converge_names_the_other_estimator(monkeypatch):
    monkeypatch.setattr("dmix.methods.class_relations.reverse.STRENGTHS", ())
    with pytest.raises(DmixError) as caught:
        reverse(evidence(), **SETTINGS)
    assert caught.value.message.startswith("the class relation of toy cannot be learned: no strengths")
    assert "direct" in caught.value.way_out


@pytest.mark.parametrize(
    "change",
    [
        *({"fit_percent": 0}, {"fit_percent": 100}, {"source_scale": 0.0}, {"largest_scale": 1.0}),
        {"strengths": [1.0]},
    ],
)
def test_params_yaml_is_held_to_the_settings(change):
    part = read_part("relation", "reverse")
    assert part is not None
    assert part.neutral == {}
    part.model.model_validate(SETTINGS)
    with pytest.raises(ValidationError):
        part.model.model_validate(SETTINGS | change)
    other = read_part("relation", "direct")
    assert other is not None
    assert set(other.model.model_fields) == {"source_scale"}
