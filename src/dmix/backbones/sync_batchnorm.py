"""Batch norm whose statistics are those of all processes' images together, on CPUs and on GPUs.

torch.nn.SyncBatchNorm refuses CPUs, where the number of processes must not change what a run is either.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dmix.errors import DmixError


class SyncBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` over the images of all processes, each of which has equally many.

    It is `nn.BatchNorm2d` itself in a single process and in evaluation mode. In several processes all must
    call it in the same order.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Return the normalised (N, C, H, W) input, in its dtype."""
        alone = not dist.is_initialized() or dist.get_world_size() == 1
        if alone or not self.training:
            return super().forward(input)
        normalised: Tensor
        normalised, mean, variance = _Normalise.apply(input, self.eps)  # type: ignore[no-untyped-call]
        if self.track_running_stats:
            self._update(mean, variance, input.numel() // self.num_features * dist.get_world_size())
        if not self.affine:
            return normalised.to(input.dtype)
        out: Tensor = normalised * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return out.to(input.dtype)

    @torch.no_grad()
    def _update(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics; the running variance is unbiased, as in `nn.BatchNorm2d`."""
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        self.num_batches_tracked += 1
        # torch's cumulative mean, for a momentum of None
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_((variance * (count / (count - 1))).to(self.running_var.dtype), momentum)


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) with the mean and variance of all processes.

    Returns it with both, float32 or wider. The gradient reaches every process's images through the common
    statistics, so its two sums are of all processes too.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        wide = x if x.dtype == torch.float64 else x.float()
        mean = _mean_of_all(wide)
        centred = wide - mean.view(1, -1, 1, 1)
        variance = _mean_of_all(centred.square())
        scale = (variance + eps).rsqrt()
        ctx.save_for_backward(x, mean, scale)
        ctx.mark_non_differentiable(mean, variance)
        return centred * scale.view(1, -1, 1, 1), mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        x, mean, scale = ctx.saved_tensors
        gradient, scale = gradients[0], scale.view(1, -1, 1, 1)
        normalised = (x.to(gradient.dtype) - mean.view(1, -1, 1, 1)) * scale
        common = _mean_of_all(torch.cat([gradient, gradient * normalised], 1)).view(1, 2, -1, 1, 1)
        return (scale * (gradient - common[:, 0] - normalised * common[:, 1])).to(x.dtype), None


def _mean_of_all(x: Tensor) -> Tensor:
    """Return the mean of each channel over the (N, C, H, W) tensors of all processes, (C,)."""
    total = x.sum((0, 2, 3))
    dist.all_reduce(total)
    return total / (x.numel() // x.shape[1] * dist.get_world_size())


def synchronise(module: nn.Module) -> None:
    """Replace the batch norms in `module` by ones with the same parameters that share their statistics.

    Raises
    ------
    DmixError: there is a batch norm that is not `nn.BatchNorm2d`, such as timm's with an activation.
    """
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            synchronised = SyncBatchNorm2d(
                child.num_features,
                child.eps,
                child.momentum,
                child.affine,
                child.track_running_stats,
                device="meta",
            )
            synchronised._parameters = child._parameters
            synchronised._buffers = child._buffers
            synchronised.train(child.training)
            setattr(module, name, synchronised)
        elif isinstance(child, _BatchNorm) and not isinstance(child, SyncBatchNorm2d):
            raise DmixError(
                f"recipe.sync_batchnorm: {type(child).__name__} cannot share its statistics, only "
                "nn.BatchNorm2d can",
                "set it to false for this network in params.yaml",
            )
        else:
            synchronise(child)
