"""For every recipe of params.yaml, a run that is stopped, saved and continued ends bit-identical."""

from __future__ import annotations

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import safetensors.torch
import torch
from torch import nn

from dmix.data.loading.feed import ReadOptions
from dmix.engine.assemble import Given, assemble
from dmix.engine.device import choose_device
from dmix.engine.parts import load_dataset
from dmix.files import sha256
from dmix.grid.expand import load_grid
from dmix.grid.paths import DATA, RunPaths
from dmix.job import checkpoint
from dmix.job.given import relation_of, weights_of
from dmix.job.options import Options
from dmix.job.signals import AGAIN
from dmix.job.train import train
from dmix.job.watch import Watch
from dmix.record import read_record
from paper import paper
from project import ROOT
from small_runs import differences

SOURCE = "supervised/imagenet/resnet18/vanilla/ce/s0"
NAMES = {
    "tiny": "supervised/tiny_imagenet/resnet18/samix/mce/s0",
    "imagenet": "supervised/imagenet/resnet50/manifoldmix/dm_ce/s0",
    "deit": "supervised/imagenet/deit_small/deit/mce/s0",
    "swin": "supervised/imagenet/swin_tiny/cutmix/dm_ce/s0",
    "rsb_a3": "supervised/imagenet/resnet50/rsb/dm_bce/s0",
    "finegrained": "supervised/cub/resnet18/automix/dm_ce/s0",
}
STARTED = "finegrained"
HERE = ReadOptions()  # by this process, from the data set


@pytest.fixture(scope="module")
def grid(tmp_path_factory, embedded_data):
    """The smoke tier, in a folder of its own in which the source is trained."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("recipes")
        patch.chdir(folder)
        (folder / "data").symlink_to(embedded_data)
        (folder / "reference").symlink_to(ROOT / "reference")
        found = load_grid("smoke", ROOT / "params.yaml")
        assert train(found, SOURCE, Options("cpu")) == 0
        yield found


def trainer(grid, name, read_options=HERE):
    spec = grid.runs[name]
    data, given = load_dataset(spec, DATA), Given(weights_of(grid, spec), relation_of(grid, spec))
    return assemble(spec, data, choose_device("cpu"), read_options, given)


def source_weights(grid):
    return RunPaths(grid.tier, grid.folders[SOURCE]).weights


def test_every_recipe_is_here_with_what_is_special_in_it(grid):
    elsewhere = {"cifar", "transfer", "semi"}  # test_resume_policies, test_resume_methods
    assert {grid.cells[name].recipe for name in paper("smoke").runs} == {*elsewhere, *NAMES}
    assert {recipe: grid.cells[name].recipe for recipe, name in NAMES.items()} == {r: r for r in NAMES}

    def those_with(section, key):
        values = {recipe: grid.runs[name].settings[section].get(key) for recipe, name in NAMES.items()}
        return {recipe: value for recipe, value in values.items() if value}

    assert those_with("objective", "label_smoothing") == {"deit": 0.1, "swin": 0.1}
    assert those_with("backbone", "drop_path").keys() == {"deit", "swin"}
    assert those_with("optimizer", "use")["rsb_a3"] == "lamb"
    assert those_with("schedule", "warmup_epochs").keys() == {"deit", "swin", "rsb_a3"}
    assert those_with("recipe", "clip_norm").keys() == {"deit", "swin", "rsb_a3"}
    assert {recipe for recipe, name in NAMES.items() if grid.runs[name].source} == {STARTED}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", NAMES)
def test_stopped_and_continued_otherwise_it_ends_bit_identical(recipe, grid, tmp_path):
    """Continued with images read by other processes and from where they are kept."""
    name = NAMES[recipe]
    whole = trainer(grid, name)
    assert whole.run(lambda _: True)
    assert whole.step == whole.history[-1]["step"] == whole.total
    seed = int(os.environ.get("DMIX_TEST_SEED", time.time_ns() % 2**32))
    stop = random.Random(seed).randrange(1, whole.total)
    print(f"DMIX_TEST_SEED={seed} stops at step {stop} of {whole.total}")
    first = trainer(grid, name)
    assert not first.run(lambda one: one.step < stop)
    checkpoint.save(tmp_path / "checkpoint.pt", {"trainer": first.state_dict()})
    state = checkpoint.load(tmp_path / "checkpoint.pt", torch.device("cpu"))
    assert state is not None
    second = trainer(grid, name, ReadOptions(2, tmp_path / "cache"))
    second.load_state_dict(state["trainer"])
    assert second.step == stop
    with ThreadPoolExecutor(1) as thread:  # in which autograd counts its nodes from 0, as in a new process
        assert thread.submit(second.run, lambda _: True).result()
    assert differences(whole.state_dict(), second.state_dict()) == []
    assert differences(whole.state_dict(), first.state_dict()) != []


def test_a_fine_grained_run_begins_with_the_body_of_its_source(grid):
    name = NAMES[STARTED]
    assert grid.runs[name].source is grid.runs[SOURCE]
    assert weights_of(grid, grid.runs[name]) == source_weights(grid)
    model = trainer(grid, name).method.model
    trained = safetensors.torch.load_file(source_weights(grid))
    body = {f"model.{key}": value for key, value in model.state_dict().items() if not key.startswith("head.")}
    head = {key for key in trained if key.startswith("model.head.")}
    assert body.keys() == trained.keys() - head
    assert [key for key, value in body.items() if not torch.equal(value, trained[key])] == []
    counters = {key: value.item() for key, value in body.items() if key.endswith("num_batches_tracked")}
    assert set(counters.values()) == {trainer(grid, SOURCE).total}
    *_, last = (module for module in model.head.modules() if isinstance(module, nn.Linear))
    (weight,) = (trained[key] for key in head if key.endswith("weight"))
    assert last.weight.shape == weight.shape
    assert not torch.equal(last.weight, weight)
    assert 0.008 < last.weight.std().item() < 0.012
    assert last.bias.tolist() == [0.0] * 20


def test_the_record_names_the_weights_it_began_with(grid, monkeypatch, capsys):
    name = "supervised/cub/resnet18/mixup/mce/s0"
    monkeypatch.setattr(Watch, "update", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    assert train(grid, name, Options("cpu")) == AGAIN
    assert "SIGTERM: stopped at step 1 of" in capsys.readouterr().out
    monkeypatch.undo()
    # Trained again elsewhere in the meantime, to other bits.
    weights = source_weights(grid)
    began_with = weights.read_bytes()
    safetensors.torch.save_file({k: v + 1 for k, v in safetensors.torch.load(began_with).items()}, weights)
    path = RunPaths(grid.tier, grid.folders[SOURCE]).record
    source = read_record(path)
    source.model_copy(update={"weights_sha256": sha256(weights)}).write(path)
    assert train(grid, name, Options("cpu")) == 0
    weights.write_bytes(began_with)
    source.write(path)
    record = read_record(RunPaths(grid.tier, grid.folders[name]).record)
    assert source.init_sha256 is None
    assert record.init_sha256 == source.weights_sha256
    assert record.resumes == 1
