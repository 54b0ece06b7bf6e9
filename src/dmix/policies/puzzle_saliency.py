"""Gradient saliency of the network's loss (Simonyan et al., 2014)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dmix.objectives.objective import Objective


def input_saliency(
    model: nn.Module, images: Tensor, labels: Tensor, objective: Objective | None = None
) -> Tensor:
    """Return sqrt(mean over channels of (d loss / d x)^2), (N, H, W) float >= 0, in evaluation mode.

    It is computed in float32, also under autocast (in float64 for float64 images). The model's gradients,
    buffers and training flags do not change.

    Parameters
    ----------
    images: (N, C, H, W) float, the model's input.
    labels: (N,) int64.
    objective: the loss, of unmixed images (lam = 1); None for plain cross-entropy.
    """
    leaf = images.detach().to(torch.promote_types(images.dtype, torch.float32)).requires_grad_()
    with evaluating(model), torch.enable_grad(), torch.autocast(images.device.type, enabled=False):
        logits = model(leaf)
        if objective is None:
            loss = cross_entropy(logits, labels, reduction="sum")
        else:
            loss = objective(logits, labels, labels, torch.ones_like(labels, dtype=torch.float32)).sum()
        (gradient,) = torch.autograd.grad(loss, leaf)
    return gradient.square().mean(1).sqrt()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode for the block; then restore every module's own mode."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
