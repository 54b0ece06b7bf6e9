"""To compare a network with a published implementation of it, weight by weight."""

from __future__ import annotations

import torch


@torch.no_grad()
def shake(model, seed=0):
    """Add noise to all parameters, so that none is at a value (0, 1) at which a wrong use would not show."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.add_(torch.empty_like(parameter).normal_(0, 0.02, generator=generator))


@torch.no_grad()
def copy_weights(target, source):
    """Copy parameters and buffers one by one, in order; names differ, shapes must not."""
    pairs = zip(target.state_dict().values(), source.state_dict().values(), strict=True)
    for own, theirs in pairs:
        assert own.shape == theirs.shape
        own.copy_(theirs)
