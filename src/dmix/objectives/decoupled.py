"""The decoupled softmax (the paper, section 3.1), shared by the objectives built on it.

phi(i|j) is the softmax of class i with the competitor j deleted. For the classes a and b of a mixed image, it
is a sigmoid of one class against all classes but these two,

    log phi(a|b) = z_a - logsumexp over c != b of z_c = log sigmoid(z_a - rest),
    rest = logsumexp over c not in {a, b} of z_c,

so that both terms share one `rest`, and a term near 0 is accurate, whereas log(p_a / (1 - p_b)) suffers from
cancellation where p_b is near 1.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

TINY_LAM = 1e-3


def mixes_two_classes(y_a: Tensor, y_b: Tensor, lam: Tensor) -> Tensor:
    """Return where y_a != y_b and min(lam, 1 - lam) > 1e-3, (N,) bool; other rows have no competitor.

    Parameters
    ----------
    y_a, y_b: (N,) int64. lam: (N,) in [0, 1], weight of y_a.
    """
    return (y_a != y_b) & (torch.minimum(lam, 1 - lam) > TINY_LAM)


def log_phi(logits: Tensor, y_a: Tensor, y_b: Tensor) -> Tensor:
    """Return log phi(a|b) and log phi(b|a), (N, 2) float32 or wider, at most 0.

    Parameters
    ----------
    logits: (N, C) floating, C >= 2; with two classes phi is 1. y_a, y_b: (N,) int64. Rows with
        y_a == y_b have no competitor to delete; their values are finite and mean nothing.
    """
    z = logits if logits.dtype == torch.float64 else logits.float()
    pair = torch.stack([y_a, y_b], 1)
    # Finite instead of -inf: with two classes all logits are deleted, and the gradient would be NaN.
    rest = z.scatter(1, pair, torch.finfo(z.dtype).min).logsumexp(1, keepdim=True)
    return functional.logsigmoid(z.gather(1, pair) - rest)


def decoupled_terms(logits: Tensor, y_a: Tensor, y_b: Tensor, lam: Tensor) -> Tensor:
    """Return -log phi(a|b) and -log phi(b|a), (N, 2); zero where a row does not mix two classes.

    Those are rows with y_a == y_b or min(lam, 1 - lam) <= 1e-3. In others, the terms do not depend on lam.

    Parameters
    ----------
    logits: (N, C). y_a, y_b: (N,) int64. lam: (N,) in [0, 1], weight of y_a.
    """
    mixed = mixes_two_classes(y_a, y_b, lam).unsqueeze(1)
    return torch.where(mixed, -log_phi(logits, y_a, y_b), 0.0)


def decoupled_ce(logits: Tensor, y_a: Tensor, y_b: Tensor, lam: Tensor) -> Tensor:
    """Return -log phi(a|b) - log phi(b|a) per row, (N,): Proposition 2, off-diagonal terms only.

    Zero where `decoupled_terms` is; its arguments are the same.
    """
    return decoupled_terms(logits, y_a, y_b, lam).sum(1)


def asymmetric_decoupled_ce(logits: Tensor, y_a: Tensor, y_b: Tensor, lam: Tensor) -> Tensor:
    """Return -log phi(a|b) per row, (N,): the asymmetrical strategy's term (section 3.2), labelled side only.

    y_b is the pseudo-label: its class is deleted and its logit has gradient 0. Zero where
    `decoupled_terms` is; its arguments are the same.
    """
    return decoupled_terms(logits, y_a, y_b, lam)[:, 0]


def decoupled_ce_of_set(logits: Tensor, mixed: Tensor) -> Tensor:
    """Return the decoupled term of rows that mix any number of classes, (N,).

    Every mixed class competes with the classes outside the mix: the sum over i in S of
    -log sigmoid(z_i - rest), rest = logsumexp over c not in S of z_c. For two classes this is
    `decoupled_ce`; for fewer it is zero.

    Parameters
    ----------
    logits: (N, C) floating. mixed: (N, C) bool, the set S of every row.
    """
    z = logits if logits.dtype == torch.float64 else logits.float()
    rest = z.masked_fill(mixed, torch.finfo(z.dtype).min).logsumexp(1, keepdim=True)
    terms = torch.where(mixed, -functional.logsigmoid(z - rest), 0.0).sum(1)
    return torch.where(mixed.sum(1) > 1, terms, 0.0)
