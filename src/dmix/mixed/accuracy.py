"""Top-1 and Top-2 accuracy on mixed test images by policy and lam, and measures of the minor class."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dmix.data.send import to_device
from dmix.data.views.contract import View
from dmix.engine.assemble import EVALUATION_PIXELS
from dmix.engine.evaluate import Batches
from dmix.engine.mixed_accuracy import mixed_hits
from dmix.engine.seeding import derive, device_generator
from dmix.errors import DmixError
from dmix.methods.supervised import Supervised
from dmix.mixed.draws import Beta, PlannedDraws
from dmix.mixed.minor import at_shares, minor_sums
from dmix.mixed.mixings import Series
from dmix.mixed.record import AtLam, Counts, Mixing
from dmix.policies.draw import Ints
from dmix.policies.policy import Context, Draws, Mixed

SEED = 0
"""Seed of the pairs and of mixing, the same for all runs."""


@torch.no_grad()
def measure(
    method: Supervised,
    batches: Batches,
    partners: Sequence[Ints],
    probabilities: Sequence[float],
    series: Mapping[str, Series],
) -> Mapping[str, Mixing]:
    """Return the accuracies on the images of all batches, mixed by each policy with each lam.

    The method is left in evaluation mode. A policy has the same random numbers at every lam and in every run.

    Parameters
    ----------
    batches: images (n, 3, H, W) and labels (n,), those that are mixed with each other in one batch.
    partners: of each batch, (n,) int64: row i is mixed with row partners[i].
    probabilities: of each batch, in [0, 1], for the lam of training, see `Series.plans`.
    series: the policies, by name.

    Raises
    ------
    DmixError: a policy takes its partners from elsewhere, or no pair has two classes.
    """
    method.eval()
    context = Context(method.model, method.objective, 0, 1, method.pixels)
    # Mixup as a run's own policy is the same as the common one, and is measured once.
    distinct = {one.use: one for one in series.values()}
    sums: dict[str, Tensor] = {}
    minor: dict[str, Tensor] = {}
    for block, (images, labels) in enumerate(batches):
        for use, one in distinct.items():
            mixed = (
                one.policy.mix(
                    images, labels, _draws(use, block, partners[block], beta, images.device), context
                )
                for beta in one.plans(probabilities[block])
            )
            expected = labels[to_device(partners[block], labels.device)]
            found = [
                (sums_of(each, logits, expected), minor_sums(each, logits))
                for together in _groups(mixed, images)
                for each, logits in zip(together, logits_of(method, batches.view, together), strict=True)
            ]
            counts, by_share = zip(*found, strict=True)
            sums[use] = torch.stack(counts) + sums.get(use, 0)
            swept = by_share[len(by_share) - len(one.sweep) :]
            minor[use] = torch.stack(swept).sum(0) + minor.get(use, 0)
    done = {use: _mixing(one, sums[use].tolist(), minor[use].tolist()) for use, one in distinct.items()}
    return {name: done[one.use] for name, one in series.items()}


def _draws(use: str, block: int, partner: Ints, beta: Beta, device: torch.device) -> Draws:
    host = PlannedDraws(derive(SEED, "mix", use, block), partner, beta)
    return Draws(host, device_generator(device, SEED, "noise", use, block))


def _groups(mixed: Iterable[Mixed], images: Tensor) -> Iterator[list[Mixed]]:
    """Yield the mixed batches, as many at a time as one forward pass may have pixels, at least one.

    Hidden states are mixed in a forward pass of their own.
    """
    together: list[Mixed] = []
    for each in mixed:
        if together and (each.hidden or (len(together) + 1) * images[:, 0].numel() > EVALUATION_PIXELS):
            yield together
            together = []
        together.append(each)
        if each.hidden:
            yield together
            together = []
    if together:
        yield together


def logits_of(method: Supervised, view: View, mixed: Sequence[Mixed]) -> tuple[Tensor, ...]:
    """Return the logits (n, classes) that tables report of each mixed batch, summed over the view's crops.

    They are computed in one forward pass. A batch with hidden states to mix has to be the only one.
    """
    hidden = mixed[0].hidden
    images = torch.cat([each.images for each in mixed])
    logits = torch.stack(
        [
            next(iter(method.predict(crop).values())) if hidden is None else method.model(crop, hidden)
            for crop in view.crops(images)
        ]
    ).sum(0)
    return torch.split(logits, [len(each.images) for each in mixed])


def sums_of(mixed: Mixed, logits: Tensor, expected: Tensor) -> Tensor:
    """Return sums over the rows of two classes, (6,) float64 on the device of the logits.

    They are pairs, top1, top2, lam, share of own pixels (NaN without a mask), and, of all rows, those whose
    partner's class is not `expected`, (N,) int64.
    """
    hits = mixed_hits(logits, mixed.y_a, mixed.y_b)
    counted = (mixed.y_a != mixed.y_b).double()
    if mixed.mask is None:
        share = torch.full_like(hits.pairs, math.nan, dtype=torch.float64)
    else:
        share = (mixed.mask.double().mean((1, 2, 3)) * counted).sum()
    lam = (mixed.lam.double() * counted).sum()
    astray = (mixed.y_b != expected).sum()
    right = (hits.pairs.double(), hits.top1.double(), hits.top2.double())
    return torch.stack([*right, lam, share, astray.double()])


def _mixing(one: Series, rows: Sequence[Sequence[float]], minor: Sequence[Sequence[float]]) -> Mixing:
    """Return the accuracies of one policy from the sums of its plans and, over the sweep, of `minor_sums`."""
    if any(row[-1] for row in rows):
        raise DmixError(f"the policy {one.use} takes its partners from elsewhere than draws.host.permutation")
    found = [_counts(row) for row in rows]
    swept = found[len(found) - len(one.sweep) :]
    return Mixing(
        policy=one.use,
        training=Counts(**found[0]) if one.trained else None,
        sweep=tuple(AtLam(nominal=lam, **values) for (lam, _), values in zip(one.sweep, swept, strict=True)),
        minor=at_shares(minor),
    )


def _counts(row: Sequence[float]) -> dict[str, Any]:
    """Return the fields of `Counts` from the sums of `sums_of`."""
    pairs, top1, top2, lam, share, _ = row
    if not pairs:
        raise DmixError("there are no two test images of different classes to mix")
    # A mean of numbers in [0, 1] may exceed 1 by rounding.
    means = {
        name: None if math.isnan(total) else min(1.0, total / pairs)
        for name, total in (("lam", lam), ("share", share))
    }
    return {"pairs": int(pairs), "top1": int(top1), "top2": int(top2), **means}
