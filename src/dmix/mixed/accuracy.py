"""Top-1 and Top-2 accuracy on mixed test images, for every policy and lam."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dmix.data.send import to_device
from dmix.data.views.contract import View
from dmix.engine.evaluate import Batches
from dmix.engine.mixed_accuracy import mixed_hits
from dmix.engine.seeding import derive, device_generator
from dmix.errors import DmixError
from dmix.methods.supervised import Supervised
from dmix.mixed.draws import PlannedDraws
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
    sums: dict[str, Tensor] = {}
    for block, (images, labels) in enumerate(batches):
        expected = labels[to_device(partners[block], labels.device)]
        for name, one in series.items():
            rows = []
            for beta in one.plans(probabilities[block]):
                draws = Draws(
                    PlannedDraws(derive(SEED, "mix", one.use, block), partners[block], beta),
                    device_generator(images.device, SEED, "noise", one.use, block),
                )
                mixed = one.policy.mix(images, labels, draws, context)
                rows.append(sums_of(mixed, logits_of(method, batches.view, mixed), expected))
            table = torch.stack(rows)
            sums[name] = sums[name] + table if name in sums else table
    return {name: _mixing(one, sums[name].tolist()) for name, one in series.items()}


def logits_of(method: Supervised, view: View, mixed: Mixed) -> Tensor:
    """Return the logits (N, classes) of mixed images that tables are made of, summed over the view's crops."""
    return torch.stack([_logits(method, crop, mixed) for crop in view.crops(mixed.images)]).sum(0)


def _logits(method: Supervised, images: Tensor, mixed: Mixed) -> Tensor:
    if mixed.hidden is not None:
        hidden: Tensor = method.model(images, mixed.hidden)
        return hidden
    return next(iter(method.predict(images).values()))


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


def _mixing(one: Series, rows: Sequence[Sequence[float]]) -> Mixing:
    """Return the accuracies of one policy from the sums of its plans."""
    if any(row[-1] for row in rows):
        raise DmixError(f"the policy {one.use} takes its partners from elsewhere than draws.host.permutation")
    found = [_counts(row) for row in rows]
    swept = found[len(found) - len(one.sweep) :]
    return Mixing(
        policy=one.use,
        training=Counts(**found[0]) if one.trained else None,
        sweep=tuple(AtLam(nominal=lam, **values) for (lam, _), values in zip(one.sweep, swept, strict=True)),
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
