"""Trains small networks on points of the plane, with this package's own objectives and add-on of pairs.

All seeds are trained at once: their rows are groups of one batch, and the policy of the add-on draws lam and
partners for each seed (`ForEachSeed`); no parameter is shared.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dmix.engine.method import Step
from dmix.engine.seeding import derive, host_generator
from dmix.methods.addons.asymmetric import Rule, Sides
from dmix.methods.addons.pairs import Pairs
from dmix.methods.addons.pseudo import PseudoLabels, pseudo_labels
from dmix.objectives import dm_ce, mce
from dmix.policies.draw import Floats, draw_lams, draw_partner
from dmix.policies.mixup import Mixup
from dmix.policies.policy import Context, Draws, Mixed
from dmix.show.moons import Moons

WIDTH, MOMENTUM = 64, 0.9


@dataclass(frozen=True)
class Mixing:
    """What is done with pairs of labelled and unlabelled points.

    Attributes
    ----------
    eta: weight of the decoupled terms; None is MCE without them. rule, sides: see
    `dmix.methods.addons.asymmetric`; at_most_half and labelled are the paper's strategy.
    """

    eta: float | None
    rule: Rule
    sides: Sides


@dataclass(frozen=True)
class Training:
    """steps; batch: labelled and unlabelled rows of each seed; lr: of SGD; alpha: of Mixup's lam."""

    steps: int
    batch: int
    lr: float
    alpha: float


class ForEachSeed(Mixup):
    """Mixup with one lam and partners of its own for each of S seeds; rows (S * B, ...) are S groups of B."""

    def __init__(self, alpha: float, seeds: int) -> None:
        super().__init__(alpha=alpha)
        self.seeds = seeds

    def mix(self, images: Tensor, labels: Tensor, draws: Draws, context: Context) -> Mixed:
        """Mix each row with another one of its group, by the lam of the group."""
        lam = self.draw_shares(len(labels), draws)
        size = len(labels) // self.seeds
        drawn = [draw_partner(draws.host, size, False) + size * seed for seed in range(self.seeds)]
        partner = torch.from_numpy(np.concatenate(drawn))
        blend = self.blend(images, images[partner], lam, draws, context)
        return Mixed(blend.images, labels, labels[partner], blend.lam, blend.mask)

    def draw_shares(self, n: int, draws: Draws) -> Floats:
        """Return lam of each row, (n,) float32, drawn for all groups at once."""
        return draw_lams(draws.host, self.alpha, self.seeds).repeat(n // self.seeds)


class Networks(nn.Module):
    """One perceptron with two hidden layers for each of S seeds; rows (S * B, ...) are S groups of B."""

    def __init__(self, seeds: int, classes: int) -> None:
        super().__init__()
        sizes = (2, WIDTH, WIDTH, classes)
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            drawn = [
                torch.randn(inputs, outputs, generator=torch.Generator().manual_seed(derive(seed, layer)))
                for seed in range(seeds)
            ]
            self.weights.append(torch.stack(drawn) * (2 / inputs) ** 0.5)
            self.biases.append(torch.zeros(seeds, 1, outputs))

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits (S * B, C) of points (S * B, 2, ...), where the further sides are 1."""
        hidden = rows.flatten(1).view(len(self.weights[0]), -1, 2)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = torch.baddbmm(bias, hidden if layer == 0 else hidden.relu(), weight)
        return hidden.flatten(0, 1)

    @torch.no_grad()
    def classes(self, points: Tensor) -> Tensor:
        """Return the predicted classes (S, N) of points (S, N, 2)."""
        found: Tensor = self(points.flatten(0, 1)).argmax(1)
        return found.view(points.shape[:2])


def accuracy(networks: Networks, moons: Moons) -> Tensor:
    """Return the accuracy of each seed on its test points, (S,) float32, percent."""
    return 100 * (networks.classes(moons.test) == moons.y_test).float().mean(1)


def train(
    moons: Moons,
    training: Training,
    mixing: Mixing | None = None,
    pseudo: Tensor | None = None,
) -> Networks:
    """Train a network for each seed on labelled points, and on mixed ones if `mixing` says how.

    Networks, batches and lam are the same in every call with the same seeds, so that calls are paired.

    Parameters
    ----------
    pseudo: int64 (S, N), fixed pseudo-classes of the unlabelled points; without, they are those that the
        network itself predicts at each step.
    """
    networks = Networks(moons.seeds, moons.classes)
    optimizer = torch.optim.SGD(networks.parameters(), training.lr, momentum=MOMENTUM)
    addon = None if mixing is None else _addon(mixing, training.alpha, moons.seeds)
    draws = Draws(host_generator(0, "plane"), torch.Generator())
    for number, (labelled, unlabelled) in enumerate(_batches(moons, training)):
        seed = torch.arange(moons.seeds).view(-1, 1)
        x, y = moons.labelled[seed, labelled].flatten(0, 1), moons.y[seed, labelled].flatten()
        # The add-on's loss is the mean over the rows of all seeds; so is this one.
        loss = functional.cross_entropy(networks(x), y)
        if addon is not None:
            u = moons.unlabelled[seed, unlabelled].flatten(0, 1)
            if pseudo is None:
                with torch.no_grad():
                    guessed = pseudo_labels(networks(u))
            else:
                guessed = PseudoLabels(pseudo[seed, unlabelled].flatten(), torch.ones(len(u)))
            step = Step(number, training.steps, draws)
            loss = loss + _mixed_loss(addon, networks, x, y, u, guessed, step)
        optimizer.zero_grad()
        # Times S, each network has the gradient of its own mean.
        (moons.seeds * loss).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return networks


def _mixed_loss(
    addon: Pairs, networks: Networks, x: Tensor, y: Tensor, u: Tensor, guessed: PseudoLabels, step: Step
) -> Tensor:
    """Return the add-on's losses of labelled points (M, 2) mixed with each other and with unlabelled ones."""
    given = Context(networks, mce.mce, step.number, step.total, lambda points: points)  # type: ignore[arg-type]
    mixed = addon.mix(x[:, :, None, None], y, u[:, :, None, None], step.draws, given)
    logits = tuple(networks(points) for points in mixed.images)
    return torch.stack(list(addon.losses(logits, mixed, guessed, step).values())).sum()


def _addon(mixing: Mixing, alpha: float, seeds: int) -> Pairs:
    settings = {} if mixing.eta is None else {"eta": mixing.eta}
    module = mce if mixing.eta is None else dm_ce
    objective = module.mce if mixing.eta is None else module.dm_ce
    return Pairs(
        ForEachSeed(alpha, seeds),
        functools.partial(objective, **settings),
        functools.partial(module.class_terms, **settings),
        rule=mixing.rule,
        sides=mixing.sides,
        unlabelled=True,
        head="shared",
        w_ll=1.0,
        w_lu=1.0,
        ramp="none",
        view="first",
        threshold=0.0,
        mce_sides="both",
        power=0.0,
        joint=False,
        freeze=False,
    )


def _batches(moons: Moons, training: Training) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield indices (S, B) of labelled and of unlabelled points, with replacement, from a stream per seed."""
    streams = [np.random.default_rng([seed, 2]) for seed in range(moons.seeds)]
    drawn = [
        [stream.integers(points.shape[1], size=(training.steps, training.batch)) for stream in streams]
        for points in (moons.labelled, moons.unlabelled)
    ]
    labelled, unlabelled = (torch.from_numpy(np.stack(index, 1)) for index in drawn)
    yield from zip(labelled, unlabelled, strict=True)
