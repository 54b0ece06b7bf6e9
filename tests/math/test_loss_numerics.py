from __future__ import annotations

import math
from decimal import Decimal, localcontext
from itertools import product

import numpy as np
import pytest
import torch

from dmix.objectives.decoupled import TINY_LAM, decoupled_ce, log_phi
from dmix.objectives.dm_bce import dm_bce
from objectives import ALL

NEAR_ONE = [
    [40.0, 0.0, 1.0, -2.0],
    [300.0, 3.0, -1.0, 0.5],
    [1e4, -50.0, 0.0, 50.0],
    [17.0, 16.0, -20.0, -21.0],
]


@pytest.fixture(params=ALL)
def objective(request):
    return ALL[request.param]


def extremes(classes, dtype):
    """Every row of logits in {0, +-50, +-1e4}, with every pair of labels and several lam."""
    logits = list(product([0.0, 50.0, -50.0, 1e4, -1e4], repeat=classes))
    cases = product(logits, range(classes), range(classes), [0.0, 0.3, 0.5, 1.0])
    z, y_a, y_b, lam = zip(*cases, strict=True)
    return torch.tensor(z, dtype=dtype), torch.tensor(y_a), torch.tensor(y_b), torch.tensor(lam)


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("classes", [2, 3])
def test_extreme_logits_stay_finite_in_value_and_gradient(objective, classes, dtype, autocast):
    logits, *rest = extremes(classes, dtype)
    logits.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        losses = objective(logits, *rest)
    (grad,) = torch.autograd.grad(losses.sum(), logits)
    assert losses.dtype == torch.float32
    assert grad.dtype == dtype
    assert bool(losses.isfinite().all())
    assert bool(grad.isfinite().all())
    assert torch.equal(losses, objective(logits.float(), *rest))


@pytest.mark.parametrize("logits", NEAR_ONE)
def test_removed_class_near_1_cancels_nothing(logits):
    """Class 0 holds nearly all of p; log(p_i / (1 - p_0)) would be noise or infinite."""
    with localcontext(prec=50):
        kept = [Decimal(z) for z in logits[1:]]
        log_sum = sum(z.exp() for z in kept).ln()
        exact = [float(z - log_sum) for z in kept]
    target = torch.arange(1, 4)
    for dtype, rtol in ((torch.float64, 1e-14), (torch.float32, 1e-6)):
        z = torch.tensor([logits] * 3, dtype=dtype)
        found = log_phi(z, target, torch.zeros(3, dtype=torch.long))[:, 0]
        torch.testing.assert_close(found, torch.tensor(exact, dtype=dtype), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("logits", NEAR_ONE)
def test_a_term_next_to_zero_keeps_its_digits(logits):
    """Class 0 against the rest, class 1 removed: phi differs from 1 by less than any float64 next to 1."""
    exact = -math.log1p(math.fsum(math.exp(z - logits[0]) for z in logits[2:]))
    zero, one = torch.zeros(1, dtype=torch.long), torch.ones(1, dtype=torch.long)
    for dtype, rtol in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        found = log_phi(torch.tensor([logits], dtype=dtype), zero, one)[0, 0]
        torch.testing.assert_close(found, torch.tensor(exact, dtype=dtype), rtol=rtol, atol=0)


def test_term_is_dropped_from_one_thousandth_down_on_both_sides():
    edge = np.float32(TINY_LAM)
    above, below = np.nextafter(edge, np.float32(1)), np.nextafter(edge, np.float32(0))
    dropped = [0.0, below, edge, np.float32(0.999), 1.0]
    kept = [above, 0.00101, 0.5, 0.99899]
    lam = torch.tensor([*map(float, dropped), *map(float, kept)])
    zeros = torch.zeros(len(lam), dtype=torch.long)
    rows = (torch.tensor([[0.2, -0.4, 1.1]] * len(lam)), zeros, zeros + 2, lam)
    expected = [False] * len(dropped) + [True] * len(kept)
    assert TINY_LAM == 1e-3
    assert (decoupled_ce(*rows) != 0).tolist() == expected
    shares, two_hot = (dm_bce(*rows, t=t, xi=1.0, reduction="sum_classes") for t in (1.0, 0.0))
    assert (two_hot != shares).tolist() == expected
