"""Label smoothing: a share of the target, spread over all classes, in MCE and nowhere else."""

from __future__ import annotations

import importlib
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional

from dmix import vision
from dmix.objectives.ce import ce
from dmix.objectives.decoupled import decoupled_ce
from dmix.objectives.dm_ce import dm_ce
from dmix.objectives.mce import mce

SMOOTHING = [0.05, 0.1, 0.9]


def naive(rows, smoothing):
    """Soft-target cross-entropy, row by row, with (1 - e) (lam, 1 - lam) + e / C as targets."""
    losses = []
    for z, a, b, lam in zip(*(x.tolist() for x in rows), strict=True):
        classes = len(z)
        target = [smoothing / classes] * classes
        target[a] += (1 - smoothing) * lam
        target[b] += (1 - smoothing) * (1 - lam)
        log_p = np.array(z) - np.logaddexp.reduce(z)
        losses.append(-sum(t * lp for t, lp in zip(target, log_p, strict=True)))
    return torch.tensor(losses, dtype=torch.float64)


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_mce_is_soft_cross_entropy_with_smoothed_targets(rows, smoothing):
    found = mce(*rows, label_smoothing=smoothing)
    torch.testing.assert_close(found, naive(rows, smoothing), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_two_rows_of_one_class_are_one_smoothed_class(rows, smoothing):
    same = rows._replace(y_b=rows.y_a)
    expected = functional.cross_entropy(rows.logits, rows.y_a, reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(mce(*same, label_smoothing=smoothing), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ce(*rows, label_smoothing=smoothing), expected, rtol=0, atol=0)


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_it_is_timms(rows, smoothing):
    vision.timm()
    timm_mix, timm_loss = (importlib.import_module(f"timm.{name}") for name in ("data.mixup", "loss"))
    classes = rows.logits.shape[1]
    both = torch.stack([rows.y_a, rows.y_b], 1)
    targets = torch.cat(  # timm pairs a batch with its reverse, so each row of ours is a batch of two
        [
            timm_mix.mixup_target(pair, classes, lam=float(lam), smoothing=smoothing)[:1].double()
            for pair, lam in zip(both, rows.lam, strict=True)
        ]
    )
    expected = timm_loss.SoftTargetCrossEntropy()(rows.logits, targets)
    found = mce(*rows, label_smoothing=smoothing).mean()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)  # timm's targets are float32


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_the_decoupled_term_knows_nothing_of_it(rows, smoothing):
    found = dm_ce(*rows, eta=0.7, label_smoothing=smoothing)
    expected = naive(rows, smoothing) + 0.7 * decoupled_ce(*rows)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("objective", [ce, mce, partial(dm_ce, eta=0.7)])
def test_none_is_what_it_was_to_the_last_bit(rows, objective):
    def before(logits, y_a, y_b, lam):
        log_p = logits.log_softmax(1)
        if objective is ce:
            return functional.cross_entropy(logits, y_a, reduction="none")
        log_a, log_b = (log_p.gather(1, y.unsqueeze(1)).squeeze(1) for y in (y_a, y_b))
        plain = -lam * log_a - (1 - lam) * log_b
        return plain if objective is mce else plain + 0.7 * decoupled_ce(logits, y_a, y_b, lam)

    for dtype in (torch.float64, torch.float32):
        given = rows._replace(logits=rows.logits.to(dtype), lam=rows.lam.to(dtype))
        assert torch.equal(objective(*given), before(*given))
        assert torch.equal(objective(*given, label_smoothing=0.0), objective(*given))


@pytest.mark.parametrize("objective", [ce, mce, partial(dm_ce, eta=0.7)])
def test_the_gradient_is_that_of_finite_differences(rows, objective):
    smoothed = partial(objective, label_smoothing=0.1)
    logits = rows.logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(smoothed(logits, *rows[1:]).sum(), logits)
    step = 1e-5
    for column in range(min(rows.logits.shape[1], 12)):
        shift = torch.zeros_like(rows.logits)
        shift[:, column] = step
        up, down = (smoothed(rows.logits + sign * shift, *rows[1:]) for sign in (1, -1))
        torch.testing.assert_close(gradient[:, column], (up - down) / (2 * step), rtol=1e-6, atol=1e-8)
    assert (gradient.sum(1).abs() < 1e-12).all()
