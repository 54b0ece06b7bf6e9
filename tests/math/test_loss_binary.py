from __future__ import annotations

from decimal import Decimal, localcontext
from functools import partial
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from torch.nn import functional

from dmix import vision
from dmix.objectives.dm_bce import dm_bce, rescale
from dmix.objectives.mbce_one import mbce_one
from dmix.objectives.mbce_two import mbce_two
from objectives import dense, gradient

VARIANTS = {
    "mbce_one": mbce_one,
    "mbce_two": mbce_two,
    "dm_bce_cutting": partial(dm_bce, t=1.0, xi=0.8),
    "dm_bce_interpolation": partial(dm_bce, t=0.5, xi=1.0),
    "dm_bce_convex": partial(dm_bce, t=2.0, xi=0.7),
}
LAM = torch.linspace(0, 1, 1001, dtype=torch.float64)
SETTINGS = [0.0, 0.3, 0.5, 0.7, 0.8, 1.0]


@pytest.fixture(params=VARIANTS)
def variant(request):
    return request.param


def wanted(name, lam):
    """A class's target from its share, in plain Python."""
    return {
        "mbce_one": lambda: lam,
        "mbce_two": lambda: 1.0,
        "dm_bce_cutting": lambda: min(1.0, lam / 0.8),
        "dm_bce_interpolation": lambda: lam**0.5,
        "dm_bce_convex": lambda: min(1.0, (lam / 0.7) ** 2),
    }[name]()


def every_kind_of_row(rows):
    """The rows with some of one class (every third) and of one image (every fourth)."""
    at = torch.arange(len(rows.lam))
    lam = torch.where(at % 4 == 1, rows.lam.round() + (0.5 - rows.lam.round()) * 1e-3, rows.lam)
    return rows._replace(y_b=torch.where(at % 3 == 0, rows.y_a, rows.y_b), lam=lam)


def naive_targets(name, rows):
    weights = []
    for a, b, lam in zip(rows.y_a.tolist(), rows.y_b.tolist(), rows.lam.tolist(), strict=True):
        if a == b:
            weights.append((1.0, 0.0))
        elif min(lam, 1 - lam) <= 1e-3:
            weights.append((lam, 1 - lam))
        else:
            weights.append((wanted(name, lam), wanted(name, 1 - lam)))
    return dense(rows, *torch.tensor(weights, dtype=torch.float64).unbind(1))


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_rows_are_the_binary_cross_entropy_of_torch(variant, rows):
    rows = every_kind_of_row(rows)
    each = functional.binary_cross_entropy_with_logits(
        rows.logits, naive_targets(variant, rows), reduction="none"
    )
    close(VARIANTS[variant](*rows, reduction="sum_classes"), each.sum(1))
    close(VARIANTS[variant](*rows, reduction="mean_all"), each.mean(1))


@pytest.mark.parametrize(("reduction", "sum_classes"), [("sum_classes", True), ("mean_all", False)])
def test_mean_over_rows_is_the_loss_of_timm(variant, rows, reduction, sum_classes):
    assert vision.timm()
    from timm.loss import BinaryCrossEntropy

    rows = every_kind_of_row(rows)
    oracle = BinaryCrossEntropy(smoothing=0.0, sum_classes=sum_classes)
    expected = oracle(rows.logits, naive_targets(variant, rows))
    close(VARIANTS[variant](*rows, reduction=reduction).mean(), expected)


@pytest.mark.parametrize("reduction", ["sum_classes", "mean_all"])
def test_the_ends_of_rescaling_are_the_other_objectives(rows, reduction):
    rows = every_kind_of_row(rows)
    one, two = (objective(*rows, reduction=reduction) for objective in (mbce_one, mbce_two))
    assert torch.equal(dm_bce(*rows, t=1.0, xi=1.0, reduction=reduction), one)
    assert torch.equal(dm_bce(*rows, t=0.0, xi=0.0, reduction=reduction), two)
    assert torch.equal(dm_bce(*rows, t=0.0, xi=0.8, reduction=reduction), two)
    assert torch.equal(dm_bce(*rows, t=1.0, xi=0.0, reduction=reduction), two)


def test_the_reductions_differ_by_the_number_of_classes(variant, rows):
    objective = VARIANTS[variant]
    summed, averaged = (objective(*rows, reduction=name) for name in ("sum_classes", "mean_all"))
    close(averaged * rows.logits.shape[1], summed)


@pytest.mark.parametrize("lam", [0.0, 1e-4, 1e-3, 0.999, 1.0])
def test_rows_of_one_image_ask_for_their_shares_alone(variant, rows, lam):
    edge = rows._replace(lam=torch.full_like(rows.lam, lam, dtype=torch.float32))
    objective, one = (partial(each, reduction="sum_classes") for each in (VARIANTS[variant], mbce_one))
    assert torch.equal(objective(*edge), one(*edge))
    assert torch.equal(gradient(objective, edge), gradient(one, edge))


def test_targets_lie_between_0_and_1(rows):
    rows = every_kind_of_row(rows)
    for t, xi in product([*SETTINGS, 2.0], SETTINGS):
        objective = partial(dm_bce, t=t, xi=xi, reduction="sum_classes")
        targets = rows.logits.sigmoid() - gradient(objective, rows)
        assert bool((targets >= -1e-14).all())
        assert bool((targets <= 1 + 1e-14).all())


def test_rows_of_one_class_have_a_minimum():
    """A target of 2 would give -50 at logit 50."""
    logits = torch.tensor([[50.0, -50.0], [-50.0, -50.0]])
    zeros = torch.zeros(2, dtype=torch.long)
    for objective in VARIANTS.values():
        found = objective(logits, zeros, zeros, torch.full((2,), 0.4), reduction="sum_classes")
        torch.testing.assert_close(found, torch.tensor([0.0, 50.0]))


def test_rescaling_is_monotone():
    for t in (*SETTINGS, 2.0):
        curves = [rescale(LAM, t, xi) for xi in SETTINGS]
        assert all(bool((curve.diff() >= 0).all()) for curve in curves)
        assert all(bool((later <= earlier).all()) for earlier, later in pairwise(curves))
    for xi in SETTINGS[1:]:
        curves = [rescale(LAM, t, xi)[xi > LAM] for t in (*SETTINGS, 2.0)]
        assert all(bool((later <= earlier).all()) for earlier, later in pairwise(curves))


def test_rescaling_truncates_at_its_threshold():
    for t in (0.3, 1.0, 2.0):
        found = rescale(LAM, t, 0.8)
        assert bool((found[LAM >= 0.8] == 1).all())
        assert bool((found[LAM < 0.8] < 1).all())
        assert found[0] == 0


def test_ends_of_rescaling_are_exact():
    assert torch.equal(rescale(LAM, 1.0, 1.0), LAM)
    for t, xi in ((0.0, 0.0), (0.0, 1.0), (2.0, 0.0)):
        assert torch.equal(rescale(LAM, t, xi), torch.ones_like(LAM))
    assert rescale(LAM.float(), 0.5, 0.8).dtype == torch.float32


@pytest.mark.parametrize("logit", [-60.0, -25.0, -1.0, 0.0, 19.0, 21.0, 25.0, 39.0, 41.0])
def test_softplus_is_exact(logit):
    """Absent and present class at the same logit: log(1 + e^z) and log(1 + e^-z)."""
    with localcontext(prec=60):
        present = float((1 + (-Decimal(logit)).exp()).ln())
        absent = float((1 + Decimal(logit).exp()).ln())
    logits = torch.full((1, 2), logit, dtype=torch.float64)
    zero = torch.zeros(1, dtype=torch.long)
    found = mbce_one(logits, zero, zero, torch.ones(1), reduction="sum_classes").item()
    assert found == pytest.approx(present + absent, rel=0, abs=3 * np.spacing(max(2 * logit, 1.0)))
