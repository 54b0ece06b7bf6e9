"""Confidence of finished runs: its summary against naive loops, and the job that writes it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from dmix import cli
from dmix.confidence.measure import BINS, Classified, classify, summarise
from dmix.confidence.record import RunConfidence
from dmix.data.views.unchanged import Unchanged
from dmix.grid.evaluation import product_of, runs_of
from dmix.grid.expand import load_grid
from dmix.grid.paths import records_folder
from dmix.job.options import Options
from dmix.job.train import train
from mixed_project import CUTMIX, params
from project import Project

MEASURE = ["--confidence", "--tier", "smoke", "--device", "cpu"]


def naive_error(confidence, right):
    """The definition, image by image: intervals ((m - 1) / M, m / M]."""
    total = 0.0
    for m in range(1, BINS + 1):
        inside = [i for i, c in enumerate(confidence) if (m - 1) / BINS < c <= m / BINS]
        if inside:
            accuracy = sum(bool(right[i]) for i in inside) / len(inside)
            mean = sum(float(confidence[i]) for i in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(accuracy - mean)
    return 100 * total


@pytest.mark.parametrize("seed", range(5))
def test_the_calibration_error_is_its_definition(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 200))
    confidence = rng.uniform(0.02, 1.0, n)
    found = summarise(Classified(confidence, rng.random(n) < confidence))
    assert sum(group.images for group in found.bins) == found.images == n
    right = np.zeros(n, bool)
    right[: n // 2] = True
    found = summarise(Classified(confidence, right))
    assert found.calibration_error == pytest.approx(naive_error(confidence, right))
    assert found.accuracy == pytest.approx(100 * (n // 2) / n)


def test_borders_and_extremes():
    # Four images at 0.8, three of them right: 5 points. All at 1, all wrong: 100 points. At 1 and right: 0.
    at = Classified(np.full(4, 0.8), np.array([True, True, True, False]))
    assert summarise(at).calibration_error == pytest.approx(5.0)
    sure = Classified(np.full(3, 1.0 + 1e-15), np.zeros(3, bool))
    assert summarise(sure).calibration_error == pytest.approx(100.0)
    assert summarise(Classified(np.ones(3), np.ones(3, bool))).calibration_error == 0.0
    # 6 / 15 is the upper end of the sixth interval, which contains it.
    assert [group.images for group in summarise(Classified(np.array([0.4]), np.array([True]))).bins] == [
        *([0] * 5), 1, *([0] * 9)
    ]  # fmt: skip


def test_the_most_confident_tenths_and_the_threshold():
    rng = np.random.default_rng(3)
    confidence, right = rng.random(37), rng.random(37) < 0.5
    found = summarise(Classified(confidence, right), threshold=0.6)
    order = sorted(range(37), key=lambda i: (-confidence[i], i))
    for tenths, group in enumerate(found.most_confident, start=1):
        first = order[: -(-37 * tenths // 10)]
        assert (group.images, group.right) == (len(first), sum(bool(right[i]) for i in first))
    sure = [i for i in range(37) if confidence[i] >= 0.6]
    assert (found.confident.images, found.confident.right) == (len(sure), sum(bool(right[i]) for i in sure))
    assert found.confident_percent == pytest.approx(100 * len(sure) / 37)
    none = summarise(Classified(confidence, right), threshold=1.1).confident
    assert (none.images, none.accuracy) == (0, None)


class Fixed(nn.Module):
    """Returns as logits the first values of each image."""

    def predict(self, images):
        return {"clean": images[:, 0, 0, :3], "other": -images[:, 0, 0, :3]}


class TwoCrops(Unchanged):
    def crops(self, images):
        yield images
        yield 3 * images


class Batches(list):
    view = Unchanged()


@pytest.mark.parametrize("binary", [False, True])
def test_confidence_is_that_of_the_reported_prediction(binary):
    images = torch.randn(5, 1, 1, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 0, 1])
    batches = Batches([(images[:3], labels[:3]), (images[3:], labels[3:])])
    for view, factor in ((Unchanged(), 1.0), (TwoCrops(), 2.0)):
        batches.view = view
        found = classify(Fixed(), batches, binary=binary)
        for row, (image, label) in enumerate(zip(images[:, 0, 0].double(), labels, strict=True)):
            logits = [float(value) * factor for value in image]
            top = max(range(3), key=logits.__getitem__)
            if binary:
                expected = 1 / (1 + np.exp(-logits[top]))
            else:
                expected = np.exp(logits[top]) / sum(np.exp(value) for value in logits)
            assert found.confidence[row] == pytest.approx(expected)
            assert found.right[row] == (top == label)


@pytest.fixture(scope="module")
def home(tmp_path_factory, embedded_data):
    """A project in which a run is finished."""
    project = Project.create(tmp_path_factory.mktemp("confidence") / "project", embedded_data, params())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.path)
        assert train(load_grid("smoke"), CUTMIX, Options("cpu")) == 0
        yield project


def test_a_run_is_as_accurate_as_it_was_scored(home, monkeypatch, capfd):
    monkeypatch.chdir(home.path)
    grid = load_grid("smoke")
    assert CUTMIX in runs_of(grid, "confidence")
    assert cli.main(["evaluate", CUTMIX, *MEASURE]) == 0
    assert f"{CUTMIX}: top-1 " in capfd.readouterr().out
    found = RunConfidence.read(product_of(records_folder("smoke"), "confidence", grid.folders[CUTMIX]))
    record = json.loads(
        (home.path / "results/smoke/records" / grid.folders[CUTMIX] / "record.json").read_text()
    )
    assert found.test.accuracy == pytest.approx(record["scores"][record["primary"]]["last"])
    assert found.unlabelled is None
