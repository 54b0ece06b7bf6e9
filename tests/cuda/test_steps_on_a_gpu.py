"""Training steps on a GPU: the CPU's losses, no wait for the device, and a stopped run goes on alike.

Between them the runs have every policy with every objective, every method with every add-on, every recipe,
network and precision of tier smoke; their images are noise. Where there is no GPU, both sides are the CPU: a
rehearsal, so that these tests cannot break unseen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from dmix.engine.assemble import assemble
from dmix.engine.device import choose_device
from dmix.engine.trainer import Trainer
from dmix.grid.expand import load_grid
from dmix.job.noise import from_nowhere, on_noise
from project import ROOT

GRID = load_grid("smoke", ROOT / "params.yaml")
HERE = "cuda" if torch.cuda.is_available() else "cpu"
STEPS = 2
FLOAT32 = 1e-3
"""Largest relative difference of a loss: GPUs sum in another order, and a step of training carries it on."""
HALF = 5e-2
"""The same where products have 8 or 11 bits."""

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Synchronization debug mode"),
]


def features(name: str) -> set[tuple[str, ...]]:
    axes, recipe = GRID.runs[name].axes, GRID.runs[name].settings["recipe"]
    return {
        ("policy and objective", axes["policy"], axes["objective"]),
        ("method and add-on", axes["method"], axes.get("addon", ""), axes["objective"]),
        ("recipe", GRID.cells[name].recipe),
        ("network", axes["backbone"]),
        ("precision", recipe["precision"]),
    }


def chosen() -> tuple[str, ...]:
    """Return runs that have all features between them: each time the one with the most that are left."""
    runs = {
        name: features(name) for name, spec in GRID.runs.items() if spec.seed == 0 and not GRID.missing(name)
    }
    left, found = set().union(*runs.values()), []
    while left:
        found.append(max(runs, key=lambda name: len(runs[name] & left)))
        left -= runs[found[-1]]
    return tuple(found)


RUNS = chosen()


@pytest.fixture(autouse=True)
def same_algorithms() -> Iterator[None]:
    """cuDNN's choice by trial would differ between two trainers of one test."""
    kept = torch.backends.cudnn.benchmark, torch.are_deterministic_algorithms_enabled()
    yield
    torch.backends.cudnn.benchmark = kept[0]
    torch.use_deterministic_algorithms(kept[1])


def trainer_of(name: str, device: str, folder: Path) -> Trainer:
    spec, dataset = on_noise(GRID.runs[name])
    spec, given = from_nowhere(spec, folder)
    place = choose_device(device)
    torch.backends.cudnn.benchmark = False
    return assemble(spec, dataset, place, given=given)


def trained(trainer: Trainer, steps: int = STEPS) -> dict[str, float]:
    """Train some steps, and return the sum of each loss over them."""
    before = dict(trainer.state_dict()["sums"])
    trainer.method.train()
    for _ in range(steps):
        trainer.train_step()
    return {loss: value - before.get(loss, 0.0) for loss, value in trainer.state_dict()["sums"].items()}


@contextmanager
def unsynchronised(device: torch.device) -> Iterator[None]:
    """Make every wait of the host for the GPU an error."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def drawn_on_the_device(trainer: Trainer, name: str, folder: Path) -> bool:
    """Whether a step on the CPU draws numbers (noise, dropout) that a GPU draws by another rule."""
    fresh = trainer_of(name, "cpu", folder).state_dict()["generators"]
    now = trainer.state_dict()["generators"]
    return any(
        not torch.equal(one[kind], other[kind])
        for one, other in zip(fresh, now, strict=True)
        for kind in ("device", "torch")
    )


@pytest.mark.parametrize("name", RUNS)
def test_losses_are_those_of_the_cpu(name, tmp_path):
    on_cpu = trainer_of(name, "cpu", tmp_path)
    expected = trained(on_cpu)
    found = trained(trainer_of(name, HERE, tmp_path))
    assert found.keys() == expected.keys()
    if drawn_on_the_device(on_cpu, name, tmp_path):
        pytest.skip("it draws noise or dropout, for which a GPU has numbers of its own")
    half = GRID.runs[name].settings["recipe"]["precision"] in ("bf16", "fp16")
    assert found == pytest.approx(expected, rel=HALF if half else FLOAT32, abs=1e-5)


@pytest.mark.parametrize("name", RUNS)
def test_a_step_never_waits_for_the_device(name, tmp_path):
    if GRID.runs[name].settings["recipe"]["precision"] == "fp16":
        pytest.skip("torch's gradient scaler waits once a step")
    trainer = trainer_of(name, HERE, tmp_path)
    trained(trainer, 3)  # first steps choose algorithms and make buffers
    with unsynchronised(trainer.device):
        trainer.train_step()
        trainer.train_step()
    assert trainer.step == 5


@pytest.mark.parametrize("name", RUNS)
def test_a_stopped_run_goes_on_alike(name, tmp_path):
    trainer = trainer_of(name, HERE, tmp_path)
    trained(trainer)
    state = trainer.state_dict()
    torch.save(state, tmp_path / "checkpoint.pt")
    expected = trained(trainer)
    again = trainer_of(name, HERE, tmp_path)
    again.load_state_dict(torch.load(tmp_path / "checkpoint.pt", weights_only=True, map_location="cpu"))
    found = trained(again)
    tolerance = 0.0 if HERE == "cpu" else FLOAT32
    assert found == pytest.approx(expected, rel=tolerance, abs=tolerance)
    assert again.step == trainer.step == 2 * STEPS
