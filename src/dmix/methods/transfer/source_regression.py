"""Co-Tuning's reverse estimator: logistic regression of the target class on source probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn import functional

from dmix.methods.transfer.calibration import fit_scale
from dmix.methods.transfer.class_relation import reverse

# Largest gradient entry relative to that at W = 0: the fit stops below PRECISION; if the objective stops
# changing before, it is accepted below ENOUGH.
PRECISION, ENOUGH = 1e-6, 1e-4


@dataclass(frozen=True)
class ClassRelation:
    """A class relation, and the regression it is derived from.

    Attributes
    ----------
    matrix: (C, S) float64, rows sum to 1. strength: selected weight of the data. scale: calibration factor.
    accuracy: of the selected regression on the held-out rows, in [0, 1].
    """

    matrix: Tensor
    strength: float
    scale: float
    accuracy: float


def fit_regressions(
    inputs: Tensor, labels: Tensor, classes: int, strengths: Iterable[float]
) -> Iterator[tuple[float, Tensor]]:
    """Yield each strength, ascending, with the W (C, S) that minimises |W|^2 / 2 + strength * sum of CE.

    CE is the cross-entropy of a row's logits, inputs W^T, without intercept. The minimum is unique; each fit
    starts at the previous one.

    Parameters
    ----------
    inputs: (N, S) float64. labels: (N,) int64 in 0..classes-1. strengths: > 0.

    Raises
    ------
    ValueError: a fit does not converge.
    """
    start: npt.NDArray[np.float64] = np.zeros(classes * inputs.shape[1])
    for strength in sorted(strengths):
        start = _fit(inputs, functional.one_hot(labels, classes), strength, start)
        yield strength, torch.from_numpy(start).view(classes, -1).to(inputs.device)


def learn_class_relation(
    fit: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    classes: int,
    *,
    strengths: Iterable[float],
    largest_scale: float,
) -> ClassRelation:
    """Return the class relation from the regression most accurate on held-out rows, calibrated on them.

    Ties go to the largest strength. p(source) is the mean over all rows.

    Parameters
    ----------
    fit, held_out: source probabilities (N, S) float64 and labels (N,) int64.
    strengths: > 0. largest_scale: see `fit_scale`.
    """
    best: tuple[float, float, Tensor] | None = None
    for strength, weights in fit_regressions(*fit, classes, strengths):
        correct = (held_out[0] @ weights.T).argmax(1) == held_out[1]
        accuracy = float(correct.double().mean())
        if best is None or accuracy >= best[0]:
            best = accuracy, strength, weights
    if best is None:
        raise ValueError("no strengths to choose from")
    accuracy, strength, weights = best
    scale = fit_scale(held_out[0] @ weights.T, held_out[1], largest=largest_scale)
    marginal = torch.cat([fit[0], held_out[0]]).mean(0)
    return ClassRelation(reverse(weights, scale, marginal), strength, scale, accuracy)


def _fit(
    inputs: Tensor,
    targets: Tensor,
    strength: float,
    start: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    unit = 1 / (1 + strength * len(inputs))  # keeps value and gradient near 1

    def value_and_gradient(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        weights = torch.from_numpy(flat).to(inputs.device).view(targets.shape[1], -1)
        log_p = (inputs @ weights.T).log_softmax(1)
        value = weights.square().sum() / 2 - strength * (targets * log_p).sum()
        gradient = weights + strength * ((log_p.exp() - targets).T @ inputs)
        return float(value) * unit, (gradient * unit).cpu().numpy().ravel()

    largest = np.abs(value_and_gradient(np.zeros_like(start))[1]).max()
    options = {"gtol": PRECISION * largest, "ftol": 0, "maxiter": 100_000, "maxfun": 100_000, "maxcor": 20}
    found = minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
    weights: npt.NDArray[np.float64] = found.x
    if np.abs(found.jac).max() > ENOUGH * largest:
        raise ValueError(f"the regression of strength {strength:g} does not converge: {found.message}")
    return weights
