from __future__ import annotations

import importlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dmix.data.sets.dataset import Split
from dmix.engine.assemble import assemble
from dmix.grid.expand import load_grid
from project import ROOT

pytestmark = pytest.mark.slow

torch.set_num_threads(1)
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


def script(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module(name)


@pytest.fixture
def throughput(monkeypatch):
    return script("throughput", monkeypatch)


@pytest.fixture
def fixmatch(monkeypatch):
    return script("fixmatch_throughput", monkeypatch)


@pytest.fixture
def method_step_time(monkeypatch):
    return script("method_step_time", monkeypatch)


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
        assert settings == {
            **whole,
            "batch_size": settings["batch_size"],
            "shards": 1,
            "precision": "fp32",
        }


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

    def measure(spec):
        tried.append(spec.settings["recipe"]["batch_size"])
        if tried[-1] > 30:
            raise torch.OutOfMemoryError
        return 3

    monkeypatch.setattr(throughput, "assemble", lambda spec, *_: spec)
    spec = load_grid("full").runs["supervised/cifar100/resnet18/mixup/mce/s0"]
    files = throughput.LooseFiles(tmp_path, ())
    found, measured = throughput.where_it_fits(spec, files, throughput.ReadOptions(), CPU, measure)
    assert (tried, measured, found.settings["recipe"]["batch_size"]) == ([100, 50, 25], 3, 25)


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


# --- FixMatch by either feed ---------------------------------------------------------------------------


@pytest.fixture
def small(fixmatch):
    """FixMatch's run with 2 + 14 + 14 images a step, its data, and Pillow's feed."""
    spec = fixmatch.fitted(load_grid("full").runs[fixmatch.RUN], CPU)
    spec = replace(spec, settings={**spec.settings, "recipe": {**spec.settings["recipe"], "batch_size": 2}})
    data = fixmatch.synthetic(spec, 300)
    return SimpleNamespace(spec=spec, data=data, by_pillow=fixmatch.PillowFeed(spec, data, CPU))


def test_a_gpu_trains_fixmatch_as_the_paper_does(fixmatch):
    spec = load_grid("full").runs[fixmatch.RUN]
    assert fixmatch.fitted(spec, GPU) == spec
    assert (spec.settings["recipe"]["batch_size"], spec.settings["recipe"]["unlabelled_ratio"]) == (64, 7)
    on_cpu = fixmatch.fitted(spec, CPU)
    assert {name for name in spec.settings if spec.settings[name] != on_cpu.settings[name]} == {
        "backbone",
        "recipe",
    }


def test_both_feeds_give_the_same_bits(fixmatch, small):
    loader = assemble(small.spec, small.data, CPU).loader
    assert small.by_pillow.sizes == [2, 14, 14]
    for step in (0, 5):
        fixmatch.check(loader.batch(step), small.by_pillow.batch(step))
    with pytest.raises(AssertionError):
        fixmatch.check(loader.batch(1), small.by_pillow.batch(0))


def test_a_pixel_by_which_the_feeds_differ_is_found(fixmatch, small, monkeypatch):
    expected = assemble(small.spec, small.data, CPU).loader.batch(0)
    strong = fixmatch.reference.strong
    monkeypatch.setattr(fixmatch.reference, "strong", lambda *given: strong(*given) ^ 1)
    with pytest.raises(AssertionError, match="not equal"):
        fixmatch.check(expected, small.by_pillow.batch(0))


def test_workers_make_step_after_step_and_end(fixmatch, small):
    with small.by_pillow.started(2) as following:
        for step in range(5):
            fixmatch.check(following(), small.by_pillow.batch(step))
    with pytest.raises(StopIteration):
        following()


class FixMatchClockwork:
    """A trainer and Pillow's feed by one clock: batches take 1 s on the device and 2 s by Pillow, steps 4 s.

    Workers make a batch while a step is taken, but have none ready when they start.
    """

    def __init__(self):
        self.now, self.device, self.sizes = 0.0, CPU, [2, 3, 3]
        self.loader = SimpleNamespace(steps_per_epoch=0, batch=self.batch)
        self.fresh, self.running = False, False
        self.step = 0

    def batch(self, step):
        assert not self.running
        self.now += 1

    def make(self, step):
        self.now += 2

    def train_step(self):
        self.loader.batch(self.step)
        self.step += 1
        self.now += 4

    def started(self, workers):
        outer = self

        class Workers:
            def __enter__(self):
                outer.running, outer.fresh = True, True
                return self.following

            def __exit__(self, *error):
                outer.running = False

            def following(self):
                outer.now += 100 * outer.fresh
                outer.fresh = False

        return Workers()


def test_feeds_are_timed_apart_and_workers_do_not_start_on_the_clock(fixmatch, throughput, monkeypatch):
    both = FixMatchClockwork()
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=lambda: both.now))
    times = fixmatch.timed(both, both, rounds=3, workers=2)
    assert times == {
        ("step", "device"): [5 / 8] * 3,
        ("step", "pillow"): [4 / 8] * 3,
        ("augmentation", "device"): [1 / 8] * 3,
        ("augmentation", "pillow"): [2 / 8] * 3,
    }
    rows = fixmatch.summary(times, 8)
    assert [row["images_per_second"] for row in rows] == [8 / 5, 2, 8, 4]
    assert [row["milliseconds"] for row in rows] == [5000, 4000, 1000, 2000]
    assert [row["ratio"] for row in rows] == [0.8, 1, 2, 1]
    assert [row["share_of_step"] for row in rows] == ["", "", 0.2, ""]
    assert {*rows[0], "setup", "n", "workers", "device"} == {*fixmatch.COLUMNS}


def test_ratios_are_of_the_same_round(fixmatch):
    times = {
        ("step", "device"): [1.0, 2.0, 4.0],
        ("step", "pillow"): [2.0, 2.0, 2.0],
        ("augmentation", "device"): [0.5, 0.5, 1.0],
        ("augmentation", "pillow"): [1.0, 1.0, 1.0],
    }
    first, *_ = fixmatch.summary(times, 1)
    assert (first["ratio"], first["ratio_lowest"], first["ratio_highest"]) == (1.0, 0.5, 2.0)


def test_the_table_of_fixmatch_is_printed(fixmatch, capsys):
    seconds = [0.001, 0.002]
    times = {(part, feed): seconds for part in ("step", "augmentation") for feed in ("device", "pillow")}
    fixmatch.print_heading([16, 112, 112], CPU, 2, 4)
    fixmatch.print_rows([{**row, "device": "cpu"} for row in fixmatch.summary(times, 240)])
    out = capsys.readouterr().out
    assert "16 labelled + 112 weak + 112 strong images; Pillow in 4 worker process(es)" in out
    assert "n = 2 rounds" in out
    assert "steps, device over Pillow: 1.00" in out
    assert "augmentation's share of a step on the device: 100.0%" in out


# --- methods on two streams ----------------------------------------------------------------------------


def test_every_transfer_method_is_timed_bare_and_with_both_additions(method_step_time):
    grid = load_grid("full")
    found = method_step_time.specs(grid)
    methods = ("fine_tuning", "bss", "co_tuning", "self_tuning")
    assert list(found) == [(method, add_on) for method in methods for add_on in ("", "mce", "dm_ce")]
    for (method, add_on), spec in found.items():
        assert (spec.axes["method"], bool(spec.settings["addon"])) == (method, bool(add_on))
        assert spec.settings["objective"]["use"] == (add_on or "ce")
    assert method_step_time.floor(grid, "fine_tuning", "") == 1
    assert method_step_time.floor(grid, "self_tuning", "mce") == pytest.approx(14 / 3)


def test_methods_take_their_steps_on_noise(method_step_time, monkeypatch, capsys):
    changes = {"width": 4, "group_width": 2, "layers": [1, 1]}
    monkeypatch.setattr(method_step_time, "SETUPS", {"cpu": ("tiny", changes, 32)})
    monkeypatch.setattr(method_step_time, "SOURCES", 5)
    clock = iter(range(1, 1000))
    taken = []

    def step(one, device):
        if one not in taken:  # once each is enough
            taken.append(one)
            one.train_step()
        return float(next(clock))

    monkeypatch.setattr(method_step_time, "step", step)
    rows = method_step_time.measure(load_grid("full"), CPU, rounds=2)
    assert len(taken) == len(rows) == 12
    assert {*rows[0]} == {*method_step_time.COLUMNS}
    assert [rows[0][column] for column in ("method", "add_on", "ratio")] == ["fine_tuning", "", "1.0000"]
    assert {row["n"] for row in rows} == {"2"}
    assert all(np.isfinite(float(row["ratio_high"])) for row in rows)
    assert "n = 2 rounds" in capsys.readouterr().out
