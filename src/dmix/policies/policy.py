"""The contract of mixup policies: a module that turns a batch into a mixed batch.

One contract serves all kinds (see docs/design.md for the reasons). A static policy mixes images. One that
mixes hidden states returns unmixed images and tells the model where to mix (`hidden`). One that needs
gradients or features gets the model from the context. A learned one makes its modules in `attach`, returns
its losses in `Mixed.losses`, updates its averages in `after_step`, and defines in `predict` and
`parameter_groups` what is evaluated and how it is optimised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from dmix.backbones.backbone import Backbone, HiddenMix
from dmix.backbones.parameter_group import ParameterGroup
from dmix.objectives.objective import Objective
from dmix.policies.draw import Floats


@dataclass(frozen=True)
class Mixed:
    """A mixed batch.

    Attributes
    ----------
    images: (N, 3, H, W) float, the input of the model.
    y_a, y_b: (N,) int64, class of the own image and of its partner.
    lam: (N,) float32 in [0, 1], weight of y_a in every row.
    mask: (N or 1, 1, H, W) weight of the own pixels, if the policy has one; for figures and tests.
    hidden: how the model mixes hidden states, if the policy does not mix images.
    losses: named scalar losses that the policy adds to the step's total.
    """

    images: Tensor
    y_a: Tensor
    y_b: Tensor
    lam: Tensor
    mask: Tensor | None = None
    hidden: HiddenMix | None = None
    losses: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Blend:
    """The result of `Policy.blend`: given images mixed with given partners.

    Attributes
    ----------
    images: (N, 3, H, W) float. lam: (N,) float32 in [0, 1], true weight of the own image in every row.
    mask: (N, 1, H, W) weight of the own pixels, on the scale of `images` or bool.
    """

    images: Tensor
    lam: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Draws:
    """The two random generators of mixing, used for nothing else.

    Scalars and permutations are drawn on the host with numpy, so that they are equal on every device and
    cost no synchronisation; fields of noise are drawn on the device.
    """

    host: np.random.Generator
    device: torch.Generator


@dataclass(frozen=True)
class Context:
    """What a policy may use of the step: the model, the objective, the step's number, and pixels in [0, 1].

    Attributes
    ----------
    model: the network in training, called as `model(images, hidden)`.
    objective: the run's loss, (logits, y_a, y_b, lam) -> (N,).
    step, total_steps: number of finished optimiser steps, and of all.
    pixels: maps normalised images back to [0, 1].
    """

    model: Backbone
    objective: Objective
    step: int
    total_steps: int
    pixels: Callable[[Tensor], Tensor]


class Policy(nn.Module):
    """Base class of policies. Settings are keyword-only arguments of the subclass's `__init__`.

    Only `mix` must be written. A policy is a submodule of the method, so its parameters and buffers are
    trained and saved with the run; it never keeps the model, which `context` provides.

    A policy that mixes images without hidden states, gradients or learned modules also writes `draw_shares`
    and `blend`, with which it can be used in an add-on of transfer and semi-supervised methods
    (`dmix.methods.addons`). Any other states the reason in `NO_BLEND`, a string constant of its module. Both
    are read from the source without importing it (`dmix.grid.parts`).
    """

    def attach(self, model: Backbone) -> None:
        """Make the modules that depend on the network. Called once, on the initialised network."""

    def mix(self, images: Tensor, labels: Tensor, draws: Draws, context: Context) -> Mixed:
        """Mix a batch.

        Parameters
        ----------
        images: (N, 3, H, W) float, normalised; never changed in place.
        labels: (N,) int64.
        """
        raise NotImplementedError(type(self).__name__)

    def draw_shares(self, n: int, draws: Draws) -> Floats:
        """Return weights of the own image for `blend`, (n,) float32 in [0, 1], drawn as `mix` draws them."""
        raise NotImplementedError(f"{type(self).__name__} has no draw_shares")

    def blend(self, own: Tensor, partner: Tensor, lam: Floats, draws: Draws, context: Context) -> Blend:
        """Mix image i of `own` with image i of `partner` by given weights.

        The true weight of the own image is at most 1/2 where `lam` is at most 1/2, and at least 1/2 where
        `lam` is at least 1/2.

        Parameters
        ----------
        own, partner: (N, 3, H, W) float, normalised; never changed in place.
        lam: (N,) on the host, wanted weights of the own image; equal in rows that share a draw of the policy.
        """
        raise NotImplementedError(f"{type(self).__name__} has no blend")

    def predict(self, model: Backbone, images: Tensor) -> Mapping[str, Tensor]:
        """Return the logits (N, classes) to evaluate, by name; tables report the first one."""
        return {"model": model(images)}

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return groups of the policy's parameters whose optimiser settings differ from the recipe's."""
        return []

    def after_step(self, context: Context) -> None:
        """Update what no gradient trains, such as momentum copies. Called after the optimiser's step."""
