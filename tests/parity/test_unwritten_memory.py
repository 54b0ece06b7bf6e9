"""No step reads memory before it is written: torch need not fill it (dmix.engine.device)."""

from __future__ import annotations

import pytest
import torch

from dmix.backbones.resnet import ResNet
from dmix.data.loading.loader import Batch
from dmix.engine.method import Step
from dmix.engine.parts import load_part
from dmix.engine.seeding import device_generator, host_generator
from dmix.policies.policy import Draws
from paper import paper
from small_runs import CLASSES, CPU, SEED, make_task

GRID = paper("smoke")
RUNS = {spec.axes["policy"]: spec for spec in GRID.runs.values() if spec.task == "supervised"}
N, SIZE = 8, 16


@pytest.fixture
def deterministic():
    """Deterministic algorithms, as runs on a CPU have them."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)


def gradients(name):
    """Return the losses of a step by this policy, and the gradients of all parameters."""
    torch.manual_seed(SEED)
    network = ResNet(CLASSES, stem="cifar", block="basic", layers=(1, 1, 1), width=4)
    task = make_task(network, load_part("policy", RUNS[name].settings["policy"]))
    task.train()
    images, labels = torch.randn(N, 3, SIZE, SIZE), torch.randint(CLASSES, (N,))
    draws = Draws(host_generator(SEED, "mix"), device_generator(CPU, SEED, "mix"))
    losses = task.losses(Batch(images, labels, torch.arange(N)), Step(0, 10, draws))
    torch.stack(list(losses.values())).sum().backward()
    found = {key: parameter.grad for key, parameter in task.named_parameters() if parameter.grad is not None}
    return {**losses, **found}


@pytest.mark.parametrize("name", sorted(RUNS))
def test_a_step_has_the_same_gradients_with_memory_filled_and_not(name, monkeypatch, deterministic):
    """torch fills with NaN, which whatever is read before it is written would spread."""
    found = []
    for filled in (True, False):
        monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", filled)
        assert torch.empty(3).isnan().all() or not filled
        found.append(gradients(name))
    assert found[0].keys() == found[1].keys()
    for key, value in found[0].items():
        assert value.isfinite().all()
        assert torch.equal(value, found[1][key]), key
