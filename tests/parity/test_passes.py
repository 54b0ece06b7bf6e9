"""The passes of each policy in params.yaml, against the multiplications of its training step."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from dmix.backbones.resnet import ResNet
from dmix.data.loading.loader import Batch
from dmix.engine.method import Step
from dmix.engine.parts import load_part
from dmix.engine.seeding import device_generator, host_generator
from dmix.policies.learned import LearnedMixing
from dmix.policies.policy import Draws
from paper import paper
from small_runs import CLASSES, CPU, SEED, make_task

GRID = paper("smoke")
RUNS = {spec.axes["policy"]: spec for spec in GRID.runs.values() if spec.task == "supervised"}
N, SIZE = 8, 16


def network():
    return ResNet(CLASSES, stem="cifar", block="basic", layers=(1, 1, 1), width=4)


class FreeMixer(nn.Module):
    """A mixer without a multiplication, so that the passes of the networks remain."""

    def __init__(self):
        super().__init__()
        self.logit = nn.Parameter(torch.zeros(()))

    def forward(self, features, partner, lam, size):
        return self.logit.sigmoid().expand(len(partner), 1, *size)


class Counter(TorchDispatchMode):
    """Counts floating point operations of convolutions and matrix products.

    torch's FlopCounterMode also follows modules, which cannot be where gradients of images alone are taken.
    """

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            self.total += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out


def counted(work):
    """The floating point operations in a call."""
    with Counter() as counter:
        work()
    return counter.total


def step_of(name):
    """Backpropagate the losses of a step by this policy, whose mixer, if it has one, is free."""
    policy = load_part("policy", RUNS[name].settings["policy"])
    task = make_task(network(), policy)
    if isinstance(policy, LearnedMixing):
        policy.mixer = FreeMixer()
    task.train()
    images, labels = torch.randn(N, 3, SIZE, SIZE), torch.randint(CLASSES, (N,))
    draws = Draws(host_generator(SEED, "mix"), device_generator(CPU, SEED, "mix"))
    losses = task.losses(Batch(images, labels, torch.arange(N)), Step(0, 10, draws))
    torch.stack(list(losses.values())).sum().backward()


@pytest.mark.parametrize("name", sorted(RUNS))
def test_a_step_makes_the_passes_that_its_entry_states(name):
    """A backward pass counts two, one for inputs and one for weights; images themselves need no gradient.

    Nothing is left to share: each pass of AutoMix and SAMix has other images, other weights or other batch
    statistics than the rest (docs/mixups.md).
    """
    model = network().train()
    forward = counted(lambda: model(torch.randn(N, 3, SIZE, SIZE)))
    stem = counted(lambda: model.stem(torch.randn(N, 3, SIZE, SIZE)))
    head = counted(lambda: model.head(model.features(torch.randn(N, 3, SIZE, SIZE))[-1])) - counted(
        lambda: model.features(torch.randn(N, 3, SIZE, SIZE))
    )
    passes = GRID.params.policies[name].passes
    expected = passes * forward - stem  # of the network's first layer, on images that need no gradient
    if name in ("automix", "samix"):
        expected -= stem + head  # of the clean images, and of the momentum copy, which needs features alone
    assert counted(lambda: step_of(name)) == expected
