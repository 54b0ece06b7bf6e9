"""The relation of source and target classes, and the loss that uses it (Co-Tuning; You et al., 2020).

A class relation is a matrix R (C, S): row c is the distribution of the S source classes given target class c.
"""

from __future__ import annotations

import torch
from torch import Tensor


def source_probabilities(logits: Tensor, scale: float) -> Tensor:
    """Return softmax(scale * z), (N, S) float64, of logits (N, S) of the pre-trained classifier.

    Parameters
    ----------
    scale: calibration factor on the classifier's own data, from `calibration.fit_scale`; 1 for none.
        Co-Tuning has 0.8840456604957581 for the first weights of torchvision's ResNet-50.
    """
    return (scale * logits.double()).softmax(1)


def direct(probabilities: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return R (C, S) as the mean source probabilities of each target class.

    Parameters
    ----------
    probabilities: (N, S), rows sum to 1. labels: (N,) int64, with at least one of each of 0..classes-1.

    Raises
    ------
    ValueError: a class has no row.
    """
    counts = torch.bincount(labels, minlength=classes)
    if bool((counts == 0).any()):
        raise ValueError(f"no row has the class {int(counts.argmin())}")
    sums = probabilities.new_zeros(classes, probabilities.shape[1]).index_add(0, labels, probabilities)
    return sums / counts.unsqueeze(1)


def target_given_source(coefficients: Tensor, scale: float) -> Tensor:
    """Return p(target | source), (S, C), rows sum to 1.

    Parameters
    ----------
    coefficients: (C, S), a linear classifier of source probabilities, applied to one-hot source classes.
    scale: calibration factor of its logits.
    """
    return (scale * coefficients.T).softmax(1)


def reverse(coefficients: Tensor, scale: float, source_marginal: Tensor) -> Tensor:
    """Return R (C, S) from p(target | source) by Bayes's rule.

    Parameters
    ----------
    coefficients, scale: see `target_given_source`.
    source_marginal: (S,), p(source), the mean source probabilities of all labelled rows.
    """
    # in logarithms, because a row whose products all underflow would be 0 / 0
    joint = (scale * coefficients.T).log_softmax(1).T + source_marginal.log()
    return joint.softmax(1)


def relation_loss(source_logits: Tensor, relation: Tensor, labels: Tensor) -> Tensor:
    """Return -sum over s of R[y, s] log softmax(z)_s per row, (N,) float32 or wider.

    It is at least the entropy of R[y]. Co-Tuning multiplies its mean by 2.3.

    Parameters
    ----------
    source_logits: (N, S), of the source classifier. relation: R (C, S). labels: (N,) int64.
    """
    z = source_logits if source_logits.dtype == torch.float64 else source_logits.float()
    return -(relation.to(z.dtype)[labels] * z.log_softmax(1)).sum(1)
