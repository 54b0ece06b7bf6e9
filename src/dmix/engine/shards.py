"""Trains on the shards of a batch: parts of equal size, each mixed and normalised by itself.

Published code trains a batch of 256 images in four processes of 64, each of which draws its own lam and
partners and normalises by its own statistics. These parts are the *shards* of a recipe, whatever number of
processes there is. The gradient is that of the mean loss over all shards. A process goes through its own
from the last to the first and adds their gradients.

Every shard has random numbers of its own. All of them see the running statistics that there were before the
step; the first shard alone moves them, as the first process's statistics count in published code.

With `recipe.sync_batchnorm` batch norms have the statistics of all shards together. Then a process's shards
are one larger batch for the network, with one backward pass, and so need the memory for it; draws stay those
of each shard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dmix.backbones.frozen_statistics import frozen_statistics
from dmix.backbones.lockstep import in_new_thread, in_turns
from dmix.engine.distributed import World
from dmix.engine.method import Method, Step
from dmix.engine.precision import autocast
from dmix.engine.stream import Stream
from dmix.pairwise import in_pairs

Losses = Mapping[str, Tensor]
Gradients = list[Tensor]
Scale = Callable[[Tensor], Tensor]


class Shards:
    """The shards that this process trains on.

    Parameters
    ----------
    parameters: all that are trained.

    Attributes
    ----------
    count: shards of the whole batch.
    streams: the random numbers of each of this process's shards.
    """

    def __init__(
        self,
        method: Method,
        parameters: Sequence[nn.Parameter],
        recipe: Mapping[str, Any],
        seed: int,
        device: torch.device,
        world: World,
    ) -> None:
        self.count: int = recipe["shards"]
        self._own = world.share(self.count)
        self.streams = [Stream(seed, shard, device) for shard in self._own]
        self._method, self._parameters, self._world = method, parameters, world
        self._precision, self._device = recipe["precision"], device
        self._together = recipe["sync_batchnorm"] and len(self._own) > 1

    def differentiate(self, batch: Any, number: int, total: int, scale: Scale) -> Losses:
        """Give each parameter the gradient of the mean loss over all shards, as its `grad`.

        Where there are several shards, a parameter on which no loss depends has the gradient 0.

        Parameters
        ----------
        batch: the rows of this process. number, total: of the step, as in `Step`.
        scale: returns the loss, a scalar, times the factor of mixed precision, which the gradients then have.

        Returns
        -------
        Each named loss, and their sum as "loss": the sums over this process's shards.
        """
        for parameter in self._parameters:
            parameter.grad = None
        steps = [Step(number, total, stream.draws) for stream in self.streams]
        if self.count == 1:
            with self.streams[0].active():
                return self._one(batch, steps[0], scale)
        self._world.hand_on_buffers(self._method)
        size = len(batch) // len(steps)
        parts = [batch.rows(slice(size * place, size * (place + 1))) for place in range(len(steps))]
        if self._together:
            losses = in_new_thread(partial(self._joint, parts, steps, scale))
            gradients = self._taken()
        else:
            losses, gradients = in_pairs(self._each(parts, steps, scale), _add)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        self._world.add_gradients(self._parameters)
        torch._foreach_div_(gradients, float(self.count))
        return losses

    def _each(
        self, parts: Sequence[Any], steps: Sequence[Step], scale: Scale
    ) -> Iterator[tuple[Losses, Gradients]]:
        """Yield the losses and gradients of one shard after another, the last one first."""
        for place in reversed(range(len(parts))):
            with self._turn(place):
                losses = self._one(parts[place], steps[place], scale)
            yield losses, self._taken()

    def _one(self, part: Any, step: Step, scale: Scale) -> Losses:
        """Backpropagate the losses of one shard."""
        losses = self._losses(part, step)
        scale(losses["loss"]).backward()  # type: ignore[no-untyped-call]
        return {name: value.detach() for name, value in losses.items()}

    def _joint(self, parts: Sequence[Any], steps: Sequence[Step], scale: Scale) -> Losses:
        """Backpropagate the losses of all shards together, which meet in every batch norm."""
        works = [partial(self._losses, part, step) for part, step in zip(parts, steps, strict=True)]
        summed = in_pairs(in_turns(works, self._turn), _add_losses)
        scale(summed["loss"]).backward()  # type: ignore[no-untyped-call]
        return {name: value.detach() for name, value in summed.items()}

    @contextmanager
    def _turn(self, place: int) -> Iterator[None]:
        """Use the random numbers of a shard, and move running statistics only if it is the first of all."""
        with self.streams[place].active(), frozen_statistics(self._method, active=self._own[place] > 0):
            yield

    def _losses(self, part: Any, step: Step) -> Losses:
        # Device and autocast are settings of each thread.
        on_device = torch.cuda.device(self._device) if self._device.type == "cuda" else nullcontext()
        with on_device, autocast(self._precision, self._device):
            losses = self._method.losses(part, step)
        return {"loss": torch.stack(tuple(losses.values())).sum(), **losses}

    def _taken(self) -> Gradients:
        """Take the gradients from the parameters."""
        found = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self._parameters]
        for parameter in self._parameters:
            parameter.grad = None
        return found


def _add(one: tuple[Losses, Gradients], other: tuple[Losses, Gradients]) -> tuple[Losses, Gradients]:
    torch._foreach_add_(one[1], other[1])
    return _add_losses(one[0], other[0]), one[1]


def _add_losses(one: Losses, other: Losses) -> Losses:
    return {name: value + other[name] for name, value in one.items()}
