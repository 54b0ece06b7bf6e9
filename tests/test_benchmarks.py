from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest
import torch

from dmix.data.dataset import Split
from dmix.grid.expand import load_grid
from project import ROOT

CPU, GPU = torch.device("cpu"), torch.device("cuda")
NETWORKS = {
    "cifar": "resnet18",
    "tiny": "resnet18",
    "imagenet": "resnet50",
    "deit": "deit_small",
    "swin": "swin_tiny",
    "rsb_a3": "resnet50",
    "finegrained": "resnet18",
}


@pytest.fixture
def throughput(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("throughput")


def test_every_supervised_recipe_is_timed_with_its_network(throughput):
    grid = load_grid("full")
    runs = throughput.chosen(grid)
    assert {recipe: grid.runs[runs[recipe]].axes["backbone"] for recipe in NETWORKS} == NETWORKS
    for recipe, run in runs.items():
        axes = grid.runs[run].axes
        assert (grid.cells[run].recipe, axes["policy"]) == (recipe, "mixup")
        assert axes["objective"] in ("mce", "mbce_one")


def test_a_batch_is_the_recipes_on_a_gpu_and_what_fits_on_a_cpu(throughput):
    grid = load_grid("full")
    runs = throughput.chosen(grid)
    assert all(throughput.fitted(grid, run, GPU) is grid.runs[run] for run in runs.values())
    found = {recipe: throughput.fitted(grid, runs[recipe], CPU).settings["recipe"] for recipe in NETWORKS}
    assert {recipe: settings["batch_size"] for recipe, settings in found.items()} == {
        "cifar": 59,
        "tiny": 14,
        "imagenet": 8,
        "deit": 7,
        "swin": 7,
        "rsb_a3": 15,
        "finegrained": 16,
    }
    for recipe, settings in found.items():
        whole = grid.runs[runs[recipe]].settings["recipe"]
        assert settings == {**whole, "batch_size": settings["batch_size"], "precision": "fp32"}


def test_data_take_the_form_of_the_runs(throughput, tmp_path):
    grid = load_grid("full")
    files = throughput.LooseFiles(tmp_path, tuple(f"{index}.jpg" for index in range(throughput.FILES)))
    for name in files.names:
        (tmp_path / name).touch()
    runs, places = throughput.chosen(grid), {}
    for recipe in NETWORKS:
        spec = throughput.fitted(grid, runs[recipe], CPU)
        data = throughput.synthetic(spec, files)
        assert data.classes == spec.settings["dataset"]["classes"]
        assert len(data.splits["train"]) >= 2 * spec.settings["recipe"]["batch_size"]
        places[recipe] = throughput.where(spec)
        assert isinstance(data.splits["train"], Split) == (places[recipe] == "memory")
    expected = {"cifar": "memory", "tiny": "memory", "finegrained": "cache"}
    assert places == dict.fromkeys(NETWORKS, "disk") | expected


def test_a_batch_is_halved_until_the_memory_holds_it(throughput, tmp_path, monkeypatch):
    tried = []

    def timed(spec, rounds):
        tried.append(spec.settings["recipe"]["batch_size"])
        if tried[-1] > 30:
            raise torch.OutOfMemoryError
        return rounds

    monkeypatch.setattr(throughput, "assemble", lambda spec, *_: spec)
    monkeypatch.setattr(throughput, "timed", timed)
    spec = load_grid("full").runs["supervised/cifar100/resnet18/mixup/mce/s0"]
    files = throughput.LooseFiles(tmp_path, ())
    found, times = throughput.timed_where_it_fits(spec, files, throughput.Reading(), CPU, 3)
    assert (tried, times, found.settings["recipe"]["batch_size"]) == ([100, 50, 25], 3, 25)


class Clockwork:
    """A trainer whose batches take 1 s, test batches 2 s, and steps 4 s, by a clock of its own."""

    def __init__(self):
        self.now, self.device = 0.0, CPU
        self.asked, self.steps = [], 0
        self.loader, self.test = SimpleNamespace(steps_per_epoch=3, batch=self.batch), self.tests()

    def batch(self, step):
        self.asked.append(step)
        self.now += 1
        return SimpleNamespace(labels=torch.zeros(8))

    def tests(self):
        while True:
            self.now += 2
            yield None, torch.zeros(5)

    def train_step(self):
        self.loader.batch(self.steps)
        self.steps += 1
        self.now += 4


def test_each_part_is_timed_alone_and_batches_are_asked_for_one_after_the_other(throughput, monkeypatch):
    trainer = Clockwork()
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=lambda: trainer.now))
    times = throughput.timed(trainer, 3)
    assert times == {"data": [1 / 8] * 3, "test": [2 / 5] * 3, "step": [4 / 8] * 3, "both": [5 / 8] * 3}
    assert trainer.asked == list(range(len(trainer.asked)))
    row = throughput.summary(times)
    rates = [row[f"{part}_images_per_second"] for part in throughput.TIMED]
    assert rates == [8, 2, 8 / 5, 5 / 2]
    assert row["both_over_step"] == row["both_over_step_lowest"] == row["both_over_step_highest"] == 1.25
    assert row["data_over_step"] == 0.25
    assert {*row} < {*throughput.COLUMNS}
