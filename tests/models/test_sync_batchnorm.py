"""In a single process; tests/engine/test_distributed.py has two."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dmix.backbones.sync_batchnorm import SyncBatchNorm2d, synchronise
from dmix.errors import DmixError
from small_backbones import images_for, small_backbone


@pytest.mark.parametrize("name", ["resnet", "resnext", "wideresnet"])
def test_alone_a_network_is_bit_by_bit_what_it_was(name):
    """Outputs, gradients and running statistics, in training and in evaluation mode."""
    plain, synchronised = small_backbone(name), small_backbone(name)
    synchronise(synchronised)
    norms = [one for one in synchronised.modules() if isinstance(one, nn.BatchNorm2d)]
    assert norms
    assert all(type(one) is SyncBatchNorm2d for one in norms)
    for mode in (True, False):
        found, expected = (model.train(mode)(images_for(name)) for model in (synchronised, plain))
        assert torch.equal(found, expected)
        for logits in (found, expected):
            logits.square().sum().backward()
        pairs = zip(synchronised.parameters(), plain.parameters(), strict=True)
        assert all(torch.equal(own.grad, other.grad) for own, other in pairs if other.grad is not None)
    for (name_of, own), (other_name, other) in zip(
        synchronised.state_dict().items(), plain.state_dict().items(), strict=True
    ):
        assert name_of == other_name
        assert torch.equal(own, other)


def test_settings_and_tensors_stay():
    norm = nn.BatchNorm2d(3, eps=0.1, momentum=None, affine=False, track_running_stats=True).eval()
    model = nn.Sequential(norm, nn.Sequential(nn.BatchNorm2d(3, momentum=0.3)))
    inner = model[1][0]
    synchronise(model)
    synchronise(model)  # a second time changes nothing
    first, second = model[0], model[1][0]
    assert (first.eps, first.momentum, first.affine, first.training) == (0.1, None, False, False)
    assert first.running_mean is norm.running_mean
    assert (second.momentum, second.training) == (0.3, True)
    assert second.weight is inner.weight


@pytest.mark.parametrize("other", [nn.BatchNorm1d, type("BatchNormAct2d", (nn.BatchNorm2d,), {})])
def test_other_batch_norms_are_refused_by_name(other):
    with pytest.raises(DmixError, match=rf"recipe.sync_batchnorm: {other.__name__} cannot share"):
        synchronise(nn.Sequential(nn.Sequential(other(3))))
