from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from dmix.policies.mask_loss import MASK_LOSSES, adjust_mean, l1, l1_variance, weight_at

MASK = [[[[0.1, 0.9], [0.8, 0.6]]], [[[0.2, 0.4], [0.3, 0.7]]]]
GOLDENS = [(0.3, 0.1, -0.05), (0.45, 0.0, -0.15), (0.7, 0.1, -0.05)]  # lam, l1, l1_variance
MARGIN = 0.1


def mask(shape=(3, 1, 2, 4), seed=0):
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda g: f"lam={g[0]}")
def test_losses_are_the_golden_ones(golden):
    lam, *expected = golden
    given_mask = torch.tensor(MASK, dtype=torch.float64)
    found = [loss(given_mask, lam, MARGIN).item() for loss in (l1, l1_variance)]
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("lam", [0.0, 0.05, 0.3, 0.55, 0.9, 1.0])
def test_losses_are_the_naive_ones(lam):
    values = mask().flatten().tolist()
    mean = sum(values) / len(values)
    first = max(abs(1 - mean - lam) - MARGIN, 0.0)
    second = first - 2 * sum((value - mean) ** 2 for value in values) / len(values)
    assert l1(mask(), lam, MARGIN).item() == pytest.approx(first, abs=1e-12)
    assert l1_variance(mask(), lam, MARGIN).item() == pytest.approx(second, abs=1e-12)


@pytest.mark.parametrize("name", MASK_LOSSES)
@pytest.mark.parametrize("lam", [0.05, 0.9])
def test_gradients_are_finite_differences(name, lam):
    start, step = mask(), 1e-6
    leaf = start.clone().requires_grad_()
    (grad,) = torch.autograd.grad(MASK_LOSSES[name](leaf, lam, MARGIN), leaf)
    for index in np.ndindex(*start.shape):
        up, down = start.clone(), start.clone()
        up[index] += step
        down[index] -= step
        slope = (MASK_LOSSES[name](up, lam, MARGIN) - MASK_LOSSES[name](down, lam, MARGIN)) / (2 * step)
        assert grad[index].item() == pytest.approx(slope.item(), abs=1e-8)
    assert bool(grad.any())


def test_l1_holds_the_mean_of_the_batch_not_of_each_image():
    """One image all partner, one all own: on average half of each, as lam says."""
    halves = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 3, 5).clone().requires_grad_()
    loss = l1(halves, 0.5, MARGIN)
    assert loss.item() == 0
    (grad,) = torch.autograd.grad(loss, halves)
    assert not grad.any()


def test_l1_pulls_the_partner_towards_1_minus_lam():
    leaf = torch.full((2, 1, 2, 2), 0.5, requires_grad=True)
    for lam, sign in ((0.2, -1), (0.8, 1)):
        (grad,) = torch.autograd.grad(l1(leaf, lam, MARGIN), leaf)
        assert bool((grad.sign() == sign).all())


def test_variance_rewards_masks_that_decide():
    """0 or 1 has variance 1/4, the largest there is."""
    undecided, decided = torch.full((1, 1, 2, 2), 0.5), torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]])
    assert l1_variance(undecided, 0.5, MARGIN).item() == 0
    assert l1_variance(decided, 0.5, MARGIN).item() == -0.5


def test_weight_is_constant_or_falls_as_a_cosine():
    total = 8
    assert [weight_at(step, total, 0.1, "constant") for step in range(total)] == [0.1] * total
    found = [weight_at(step, total, 0.1, "cosine") for step in range(total + 1)]
    assert found == pytest.approx([0.1 * math.cos(math.pi * step / total / 2) ** 2 for step in range(9)])
    assert found[0] == 0.1
    assert found[total] == 0


def naive_compounding(total, start):
    """The weight as a hook leaves it behind: each step multiplies what the step before left."""
    weight, found = start, []
    for step in range(total):
        weight = 0 + (weight - 0) * (math.cos(math.pi * step / total) + 1) / 2
        found.append(weight)
    return found


@pytest.mark.parametrize("total", [1, 2, 9, 1000, 10_007])
def test_weight_as_executed_is_multiplied_step_by_step(total):
    found = [weight_at(step, total, 0.1, "compounding_cosine") for step in range(total)]
    assert found == pytest.approx(naive_compounding(total, 0.1), rel=1e-12, abs=1e-300)
    assert found[0] == 0.1
    assert weight_at(total, total, 0.1, "compounding_cosine") == 0
    # the value of a step does not depend on those asked for before, so a resumed run has the same ones
    for step in reversed(range(0, total, max(1, total // 7))):
        weight_at(3, 5, 0.1, "compounding_cosine")
        assert weight_at(step, total, 0.1, "compounding_cosine") == found[step]


@pytest.mark.parametrize(
    ("per_epoch", "epochs", "faded", "share"),
    [(5994 // 16, 200, 8.4, 0.045), (1_281_167 // 256, 100, 2.2, 0.024)],
    ids=["CUB", "ImageNet"],
)
def test_weight_as_executed_fades_within_the_first_epochs(per_epoch, epochs, faded, share):
    """The epochs until it is below 1 %, and its sum as a share of the plain cosine's."""
    total = per_epoch * epochs
    found = [weight_at(step, total, 1.0, "compounding_cosine") for step in range(total)]
    below = next(step for step, weight in enumerate(found) if weight < 0.01)
    assert below / per_epoch == pytest.approx(faded, abs=0.05)
    plain = sum(weight_at(step, total, 1.0, "cosine") for step in range(total))
    assert sum(found) / plain == pytest.approx(share, abs=0.0005)


@budget(max_examples=100, deadline=None, derandomize=True, database=None)
@given(
    n=st.integers(1, 4),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    lam=st.floats(1e-3, 1 - 1e-3),
    seed=st.integers(0, 2**32),
)
def test_adjusted_masks_have_the_mean_lam(n, size, lam, seed):
    before = mask((n, 1, *size), seed)
    kept = before.clone()
    after = adjust_mean(before, lam)
    assert torch.equal(before, kept)
    expected = torch.full((n,), lam, dtype=torch.float64)
    torch.testing.assert_close(after.mean((1, 2, 3)), expected, rtol=0, atol=1e-12)
    assert bool(((after >= 0) & (after <= 1)).all())
    for row in range(n):
        assert torch.equal(after[row].flatten().argsort(), before[row].flatten().argsort())


def test_adjusting_shrinks_the_mask_or_its_complement():
    rows = torch.tensor([[0.2, 0.6], [0.1, 0.3], [0.3, 0.5]], dtype=torch.float64).view(3, 1, 1, 2)
    expected = torch.tensor([[0.2, 0.6], [0.325, 0.475], [0.3, 0.5]], dtype=torch.float64).view(3, 1, 1, 2)
    torch.testing.assert_close(adjust_mean(rows, 0.4), expected, rtol=0, atol=1e-12)
    halved = adjust_mean(rows, 0.2)[0].flatten()
    torch.testing.assert_close(halved, torch.tensor([0.1, 0.3], dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_saturated_masks_are_adjusted_to_a_constant(value):
    after = adjust_mean(torch.full((2, 1, 3, 4), value), 0.3)
    torch.testing.assert_close(after, torch.full_like(after, 0.3), rtol=0, atol=1e-7)
