from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch.nn import functional

from dmix.methods.transfer.calibration import fit_scale
from dmix.methods.transfer.class_relation import (
    direct,
    relation_loss,
    reverse,
    source_probabilities,
    target_given_source,
)
from dmix.methods.transfer.source_regression import fit_regressions, learn_class_relation
from transfer_goldens import GOLDENS, doubles, is_golden

GIVEN, EXPECTED = GOLDENS["co_tuning"]["inputs"], GOLDENS["co_tuning"]["expected"]
CALIBRATION = GOLDENS["co_tuning"]["calibration"]
STRENGTHS = (1e4, 1e3, 1e2, 10.0, 1.0, 0.1, 0.01)


def labelled_rows(rows=60, classes=4, sources=6, seed=0, noise=2.5):
    """Source probabilities in which each target class has two favourite source classes, by noise."""
    rng = np.random.default_rng([rows, classes, sources, seed])
    labels = torch.from_numpy(np.arange(rows) % classes)
    means = rng.normal(size=(classes, sources))
    logits = torch.from_numpy(means[labels] + rng.normal(scale=noise, size=(rows, sources)))
    return source_probabilities(logits, 1.0), labels


def test_estimators_are_golden():
    p, labels = doubles(GIVEN["source_probs"]), torch.tensor(GIVEN["target_labels"])
    weights = doubles(GIVEN["coef_targets_by_sources"])
    is_golden(direct(p, labels, 3), EXPECTED["relationship_direct"])
    is_golden(target_given_source(weights, GIVEN["scale"]), EXPECTED["p_target_given_source"])
    marginal = p.mean(0)
    is_golden(marginal, EXPECTED["source_marginal"])
    found = reverse(weights, GIVEN["scale"], marginal)
    is_golden(found, EXPECTED["relationship_reverse"])
    is_golden(found.sum(1), EXPECTED["row_sums"])


def test_losses_are_golden():
    z_s, z_t = (doubles(GIVEN[f"{name}_logits"]).requires_grad_() for name in ("source", "target"))
    labels = torch.tensor(GIVEN["labels"])
    ce = functional.cross_entropy(z_t, labels)
    is_golden(ce, EXPECTED["ce"])
    for name in ("direct", "reverse"):
        related = doubles(EXPECTED[f"relationship_{name}"])
        is_golden(relation_loss(z_s, related, labels).mean(), EXPECTED[f"co_loss_{name}"])
    total = ce + GIVEN["trade_off"] * relation_loss(z_s, related, labels).mean()
    is_golden(total, EXPECTED["total_reverse"])
    for logits, name in ((z_s, "source"), (z_t, "target")):
        is_golden(torch.autograd.grad(total, logits, retain_graph=True)[0], EXPECTED[f"grad_{name}_logits"])


@pytest.mark.parametrize("case", CALIBRATION, ids=lambda case: f"s={case['scale']:.3f}")
def test_calibration_is_golden(case):
    logits, labels = doubles(case["logits"]), torch.tensor(case["labels"])
    scale = fit_scale(logits, labels, largest=1e4)
    assert scale == pytest.approx(case["scale"], abs=1e-10)
    is_golden(functional.cross_entropy(scale * logits, labels), case["nll"])
    if "closed_form" in case:
        assert scale == pytest.approx(math.log(3), abs=1e-12)


@pytest.mark.parametrize("factor", [0.01, 3.0, 250.0])
def test_fitted_scale_goes_with_the_inverse_of_the_logits(factor):
    for case in CALIBRATION:
        scale = fit_scale(factor * doubles(case["logits"]), torch.tensor(case["labels"]), largest=1e4)
        assert scale == pytest.approx(case["scale"] / factor, rel=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_fitted_scale_is_a_minimum(seed):
    rng = np.random.default_rng(seed)
    logits, labels = torch.from_numpy(rng.normal(size=(50, 5))), torch.from_numpy(rng.integers(5, size=50))
    labels[:20] = logits[:20].argmax(1)
    found = minimize_scalar(lambda s: functional.cross_entropy(s * logits, labels).item(), (0.0, 1.0))
    assert fit_scale(logits, labels, largest=1e4) == pytest.approx(found.x, abs=1e-6)
    shifted = logits + torch.from_numpy(rng.normal(size=(50, 1)))
    assert fit_scale(shifted, labels, largest=1e4) == pytest.approx(
        fit_scale(logits, labels, largest=1e4), abs=1e-10
    )


def test_scales_without_a_minimum_end_at_the_limit():
    logits = torch.eye(3, dtype=torch.float64)
    assert fit_scale(logits, torch.arange(3), largest=50.0) == 50.0
    assert fit_scale(-logits, torch.arange(3), largest=50.0) == -50.0
    assert fit_scale(0 * logits, torch.arange(3), largest=50.0) == 1.0


def test_direct_is_the_loop_and_one_hot_rows_give_frequencies():
    p, labels = labelled_rows()
    found = direct(p, labels, 4)
    expected = torch.stack([p[labels == c].mean(0) for c in range(4)])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.sum(1), torch.ones(4, dtype=torch.float64))
    sources = p.argmax(1)
    found = direct(functional.one_hot(sources, 6).double(), labels, 4)
    for c in range(4):
        for j in range(6):
            assert found[c, j].item() == pytest.approx(((labels == c) & (sources == j)).sum().item() / 15)


def test_direct_names_a_class_without_rows():
    p, labels = labelled_rows()
    with pytest.raises(ValueError, match="class 4"):
        direct(p, labels, 5)


def test_reverse_is_the_rule_of_bayes():
    rng = np.random.default_rng(1)
    weights = torch.from_numpy(rng.normal(size=(4, 6)))
    marginal = torch.from_numpy(rng.dirichlet(np.ones(6)))
    found = reverse(weights, 1.3, marginal)
    for c in range(4):
        joint = [
            marginal[j] * (1.3 * weights[c, j]).exp() / (1.3 * weights[:, j]).exp().sum() for j in range(6)
        ]
        torch.testing.assert_close(found[c], torch.stack(joint) / sum(joint), rtol=1e-12, atol=1e-12)
    uninformed = reverse(0 * weights, 1.0, marginal)
    torch.testing.assert_close(uninformed, marginal.expand(4, 6), rtol=1e-12, atol=1e-12)


def test_reverse_survives_products_that_underflow():
    weights = torch.tensor([[1000.0, 900.0], [0.0, 0.0]], dtype=torch.float64)
    found = reverse(weights, 1.0, doubles([0.5, 0.5]))
    assert bool(found.isfinite().all())
    torch.testing.assert_close(found.sum(1), torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(found[1], doubles([0.0, 1.0]), rtol=0, atol=1e-40)


def test_source_probabilities_are_float64_of_scaled_logits():
    logits = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    found = source_probabilities(logits, 0.8840456604957581)
    assert found.dtype == torch.float64
    expected = (0.8840456604957581 * logits.double()).softmax(1)
    torch.testing.assert_close(found, expected, rtol=1e-15, atol=0)
    torch.testing.assert_close(source_probabilities(2 * logits, 0.5), logits.double().softmax(1))


def test_relation_loss_is_cross_entropy_for_one_hot_rows_and_at_least_the_entropy():
    p, labels = labelled_rows(rows=8)
    logits = p.log().requires_grad_()
    one_hot = functional.one_hot(torch.tensor([2, 0, 5, 3]), 6).double()
    expected = functional.cross_entropy(logits, one_hot.argmax(1)[labels], reduction="none")
    torch.testing.assert_close(relation_loss(logits, one_hot, labels), expected, rtol=1e-12, atol=1e-12)
    related = direct(p, labels, 4)
    entropy = -(related * related.log()).sum(1)[labels]
    assert bool((relation_loss(logits, related, labels) > entropy).all())
    torch.testing.assert_close(
        relation_loss(related.log()[labels], related, labels), entropy, rtol=1e-12, atol=1e-12
    )
    assert torch.autograd.gradcheck(lambda z: relation_loss(z, related, labels), logits)
    naive = [
        -sum(related[y, s] * z.log_softmax(0)[s] for s in range(6))
        for z, y in zip(logits, labels, strict=True)
    ]
    torch.testing.assert_close(
        relation_loss(logits, related, labels), torch.stack(naive), rtol=1e-12, atol=1e-12
    )
    assert relation_loss(logits.bfloat16(), related, labels).dtype == torch.float32


def objective_gradient(weights, p, labels, strength):
    weights = weights.clone().requires_grad_()
    ce = functional.cross_entropy(p @ weights.T, labels, reduction="sum")
    (grad,) = torch.autograd.grad(weights.square().sum() / 2 + strength * ce, weights)
    return grad


@pytest.mark.parametrize("seed", [0, 1])
def test_regressions_are_at_their_minimum(seed):
    p, labels = labelled_rows(seed=seed)
    fits = list(fit_regressions(p, labels, 4, STRENGTHS))
    assert [strength for strength, _ in fits] == sorted(STRENGTHS)
    for strength, weights in fits:
        start = objective_gradient(torch.zeros_like(weights), p, labels, strength).abs().max()
        assert objective_gradient(weights, p, labels, strength).abs().max() < 1e-4 * start


def test_regression_of_two_classes_has_its_closed_condition():
    """W is antisymmetric, and W_0 = strength * sum over rows of (y - sigma) p."""
    p, labels = labelled_rows(classes=2)
    for strength, weights in fit_regressions(p, labels, 2, (0.1, 5.0)):
        torch.testing.assert_close(weights[0], -weights[1], rtol=1e-4, atol=1e-6)
        residual = (labels == 0).double() - torch.sigmoid(p @ (weights[0] - weights[1]))
        torch.testing.assert_close(weights[0], strength * residual @ p, rtol=1e-4, atol=1e-6)


def test_regressions_agree_with_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    p, labels = labelled_rows()
    for strength, weights in fit_regressions(p, labels, 4, (0.1, 10.0)):
        model = LogisticRegression(C=strength, fit_intercept=False, tol=1e-10, max_iter=10_000)
        expected = torch.from_numpy(model.fit(p.numpy(), labels.numpy()).coef_)
        torch.testing.assert_close(weights, expected, rtol=1e-4, atol=1e-5)


def test_learning_puts_the_steps_together():
    p, labels = labelled_rows(rows=100)
    fit, held_out = (p[:80], labels[:80]), (p[80:], labels[80:])
    found = learn_class_relation(fit, held_out, 4, strengths=STRENGTHS, largest_scale=1e4)
    torch.testing.assert_close(found.matrix.sum(1), torch.ones(4, dtype=torch.float64))
    assert bool((found.matrix >= 0).all())
    fits = dict(fit_regressions(*fit, 4, STRENGTHS))
    accuracy = {
        strength: ((held_out[0] @ weights.T).argmax(1) == held_out[1]).double().mean().item()
        for strength, weights in fits.items()
    }
    best = max(accuracy.values())
    assert found.accuracy == best
    assert found.strength == max(strength for strength, value in accuracy.items() if value == best)
    weights = fits[found.strength]
    assert found.scale == fit_scale(held_out[0] @ weights.T, held_out[1], largest=1e4)
    assert torch.equal(found.matrix, reverse(weights, found.scale, torch.cat([fit[0], held_out[0]]).mean(0)))
    again = learn_class_relation(fit, held_out, 4, strengths=STRENGTHS[::-1], largest_scale=1e4)
    assert torch.equal(again.matrix, found.matrix)


def test_of_equally_good_regressions_the_strongest_counts():
    p, labels = labelled_rows(rows=40, noise=0.01)
    found = learn_class_relation((p, labels), (p, labels), 4, strengths=STRENGTHS, largest_scale=100.0)
    assert (found.accuracy, found.strength) == (1.0, 1e4)
    with pytest.raises(ValueError, match="no strengths"):
        learn_class_relation((p, labels), (p, labels), 4, strengths=(), largest_scale=100.0)


def test_a_certain_classifier_is_related_as_the_direct_estimator_says():
    """With one-hot source probabilities and a strong fit, both estimators see the same frequencies."""
    rng = np.random.default_rng(2)
    labels = torch.arange(400) % 4
    sources = torch.from_numpy(np.where(rng.uniform(size=400) < 0.7, labels, rng.integers(6, size=400)))
    p = functional.one_hot(sources, 6).double()
    found = learn_class_relation((p, labels), (p, labels), 4, strengths=(1e4,), largest_scale=1e4)
    assert found.scale == pytest.approx(1, abs=1e-2)
    torch.testing.assert_close(found.matrix, direct(p, labels, 4), rtol=0, atol=5e-3)
