"""For every policy, a run that is stopped, saved and continued elsewhere ends bit-identical."""

from __future__ import annotations

import pytest
import torch

from dmix.engine.assemble import assemble
from dmix.engine.device import choose_device
from dmix.engine.parts import load_dataset
from dmix.grid.expand import load_grid
from dmix.job import checkpoint
from project import ROOT
from small_runs import differences

STEPS, STOP = 8, 3  # the smoke runs of CIFAR-10 have 8 steps in 2 epochs
GRID = load_grid("smoke", ROOT / "params.yaml")
NAMES = [name for name in GRID.grids["cifar10"] if name.endswith("/dm_ce/s0")]


@pytest.fixture(scope="module")
def data(embedded_data):
    return load_dataset(GRID.runs[NAMES[0]], embedded_data)


def trainer(name, data):
    return assemble(GRID.runs[name], data, choose_device("cpu"))


def test_every_mixing_policy_is_here():
    kinds = {"static", "dynamic"}
    assert {GRID.runs[name].axes["policy"] for name in NAMES} == {
        name for name, entry in GRID.params.policies.items() if entry.kind in kinds
    }


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.split("/")[3])
def test_stopped_and_continued_it_ends_bit_identical(name, data, tmp_path):
    whole = trainer(name, data)
    assert whole.total == STEPS
    assert whole.run(lambda _: True)
    first = trainer(name, data)
    assert not first.run(lambda one: one.step < STOP)
    checkpoint.save(tmp_path / "checkpoint.pt", {"trainer": first.state_dict()})
    state = checkpoint.load(tmp_path / "checkpoint.pt", torch.device("cpu"))
    assert state is not None
    second = trainer(name, data)
    second.load_state_dict(state["trainer"])
    assert second.step == STOP
    assert second.run(lambda _: True)
    assert differences(whole.state_dict(), second.state_dict()) == []
    assert differences(whole.state_dict(), first.state_dict()) != []
