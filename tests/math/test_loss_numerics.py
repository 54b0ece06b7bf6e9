from __future__ import annotations

from decimal import Decimal, localcontext
from itertools import product

import numpy as np
import pytest
import torch

from dmix.losses.ce import ce
from dmix.losses.decoupled import TINY_LAM, decoupled_ce, log_phi
from dmix.losses.dm_ce import dm_ce
from dmix.losses.mce import mce

OBJECTIVES = {
    "ce": ce,
    "mce": mce,
    "dm_ce": lambda *rows: dm_ce(*rows, eta=1.0),
    "decoupled_ce": decoupled_ce,
}
NEAR_ONE = [
    [40.0, 0.0, 1.0, -2.0],
    [300.0, 3.0, -1.0, 0.5],
    [1e4, -50.0, 0.0, 50.0],
    [17.0, 16.0, -20.0, -21.0],
]


@pytest.fixture(params=OBJECTIVES)
def objective(request):
    return OBJECTIVES[request.param]


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
        # Class 0 against target 1: log phi(0|1), whose distance from 0 may be below any float64 of p.
        rest = [Decimal(logits[0]), *kept[1:]]
        phi = float(kept[0] - log_sum + Decimal(logits[0]) - sum(z.exp() for z in rest).ln())
    target = torch.arange(1, 4)
    for dtype, rtol in ((torch.float64, 1e-14), (torch.float32, 1e-6)):
        z = torch.tensor([logits] * 3, dtype=dtype)
        found = log_phi(z, target, torch.zeros(3, dtype=torch.long))
        torch.testing.assert_close(found, torch.tensor(exact, dtype=dtype), rtol=rtol, atol=rtol)
        pair = torch.zeros(1, dtype=torch.long), torch.ones(1, dtype=torch.long)
        term = decoupled_ce(z[:1], *pair, torch.full((1,), 0.5))
        torch.testing.assert_close(term, torch.tensor([-phi], dtype=dtype), rtol=rtol, atol=rtol)


def test_term_is_dropped_from_one_thousandth_down_on_both_sides():
    edge = np.float32(TINY_LAM)
    above, below = np.nextafter(edge, np.float32(1)), np.nextafter(edge, np.float32(0))
    dropped = [0.0, below, edge, np.float32(0.999), 1.0]
    kept = [above, 0.00101, 0.5, 0.99899]
    lam = torch.tensor([*map(float, dropped), *map(float, kept)])
    zeros = torch.zeros(len(lam), dtype=torch.long)
    found = decoupled_ce(torch.tensor([[0.2, -0.4, 1.1]] * len(lam)), zeros, zeros + 2, lam)
    assert TINY_LAM == 1e-3
    assert (found != 0).tolist() == [False] * len(dropped) + [True] * len(kept)
