"""Every objective under test with settings, and decoupled terms on their own, by what holds for them."""

from __future__ import annotations

from functools import partial

import torch
from torch.nn import functional

from dmix.objectives.ce import ce
from dmix.objectives.decoupled import asymmetric_decoupled_ce, decoupled_ce, decoupled_ce_of_set
from dmix.objectives.dm_bce import dm_bce
from dmix.objectives.dm_ce import dm_ce
from dmix.objectives.dm_ce_released import dm_ce_released
from dmix.objectives.mbce_one import mbce_one
from dmix.objectives.mbce_two import mbce_two
from dmix.objectives.mce import mce


def set_of_two(logits, y_a, y_b, lam):
    """The term of a set in the pair's contract; a set knows no lam."""
    classes = logits.shape[1]
    return decoupled_ce_of_set(
        logits, (functional.one_hot(y_a, classes) + functional.one_hot(y_b, classes)) > 0
    )


# Objectives that are MCE plus eta times a decoupled term.
DECOUPLED = {
    "dm_ce": dm_ce,
    "dm_ce_released_both": partial(dm_ce_released, mode="both", power=1.0),
    "dm_ce_released_less": partial(dm_ce_released, mode="less", power=0.5),
    "dm_ce_released_more": partial(dm_ce_released, mode="more", power=0.0),
}
WITH_ETA = {name: partial(objective, eta=0.7) for name, objective in DECOUPLED.items()}
TERMS = {
    "decoupled_ce": decoupled_ce,
    "asymmetric_decoupled_ce": asymmetric_decoupled_ce,
    "decoupled_ce_of_set": set_of_two,
}
SOFTMAX = {"ce": ce, "mce": mce, **WITH_ETA, **TERMS}
BINARY = {
    "mbce_one": partial(mbce_one, reduction="sum_classes"),
    "mbce_two": partial(mbce_two, reduction="mean_all"),
    "dm_bce_cutting": partial(dm_bce, t=1.0, xi=0.8, reduction="sum_classes"),
    "dm_bce_interpolation": partial(dm_bce, t=0.5, xi=1.0, reduction="mean_all"),
}
ALL = {**SOFTMAX, **BINARY}
ONE_SIDED = {"ce", "asymmetric_decoupled_ce"}


def gradient(objective, rows):
    """The gradient of every row's loss with respect to its own logits."""
    logits = rows.logits.clone().requires_grad_()
    return torch.autograd.grad(objective(logits, *rows[1:]).sum(), logits)[0]


def dense(rows, weight_a, weight_b):
    """(N, C) targets: weight_a at y_a plus weight_b at y_b."""
    target = torch.zeros_like(rows.logits)
    for row, (a, b) in enumerate(zip(rows.y_a.tolist(), rows.y_b.tolist(), strict=True)):
        target[row, a] += weight_a[row]
        target[row, b] += weight_b[row]
    return target
