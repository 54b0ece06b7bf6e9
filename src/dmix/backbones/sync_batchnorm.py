"""Batch norm whose statistics are those of all shards' images together, on CPUs and on GPUs.

torch.nn.SyncBatchNorm refuses CPUs, and shards of one process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dmix.backbones import lockstep
from dmix.errors import DmixError
from dmix.pairwise import in_pairs


class SyncBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` over the images of all shards of a batch, of which each has equally many.

    Shards are in other processes, or run in turns in this one (`dmix.backbones.lockstep`), or both; all must
    call it in the same order. For a single shard, and in evaluation mode, it is `nn.BatchNorm2d` itself.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Return the normalised (N, C, H, W) input, in its dtype."""
        if not self.training or (_processes() == 1 and not lockstep.meeting_others()):
            return super().forward(input)
        normalised: Tensor = lockstep.meet(self, input, self._normalised)
        if not self.affine:
            return normalised.to(input.dtype)
        out: Tensor = normalised * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return out.to(input.dtype)

    def _normalised(self, inputs: list[Tensor]) -> list[Tensor]:
        """Return the normalised inputs of this process's shards, and move the running statistics once."""
        normalised: list[Tensor]
        *normalised, mean, variance = _Normalise.apply(self.eps, *inputs)  # type: ignore[no-untyped-call]
        if self.track_running_stats:
            self._update(mean, variance, _images(inputs))
        return normalised

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
    """(x - mean) / sqrt(variance + eps) of each of this process's shards, with the statistics of all shards.

    Returns them and both statistics, float32 or wider. The gradient reaches every shard's images through the
    common statistics, so its two sums are of all shards too.
    """

    @staticmethod
    def forward(ctx: Any, eps: float, *shards: Tensor) -> tuple[Tensor, ...]:
        count = _images(shards)
        wide = [x if x.dtype == torch.float64 else x.float() for x in shards]
        mean = _sum_of_all(wide) / count
        centred = [x - mean.view(1, -1, 1, 1) for x in wide]
        variance = _sum_of_all([x.square() for x in centred]) / count
        scale = (variance + eps).rsqrt()
        ctx.save_for_backward(*shards, mean, scale)
        ctx.mark_non_differentiable(mean, variance)
        return *(x * scale.view(1, -1, 1, 1) for x in centred), mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *shards, mean, scale = ctx.saved_tensors
        own, scale = gradients[: len(shards)], scale.view(1, -1, 1, 1)
        normalised = [
            (x.to(gradient.dtype) - mean.view(1, -1, 1, 1)) * scale
            for x, gradient in zip(shards, own, strict=True)
        ]
        both = [torch.cat([g, g * x], 1) for g, x in zip(own, normalised, strict=True)]
        common = (_sum_of_all(both) / _images(shards)).view(1, 2, -1, 1, 1)
        return None, *(
            (scale * (gradient - common[:, 0] - x * common[:, 1])).to(given.dtype)
            for given, gradient, x in zip(shards, own, normalised, strict=True)
        )


def _processes() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def _images(shards: Sequence[Tensor]) -> int:
    """Return the number of values of each channel in the (N, C, H, W) tensors of all processes."""
    return sum(x.numel() // x.shape[1] for x in shards) * _processes()


def _sum_of_all(shards: Sequence[Tensor]) -> Tensor:
    """Return the sum of each channel over the (N, C, H, W) tensors of all processes' shards, (C,).

    Shards are added in pairs, so that the sum does not depend on how many processes share them.
    """
    total = in_pairs([x.sum((0, 2, 3)) for x in shards], torch.add)
    if _processes() == 1:
        return total
    parts = [torch.empty_like(total) for _ in range(_processes())]
    dist.all_gather(parts, total)
    return in_pairs(parts, torch.add)


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
