from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional

from dmix.methods.addons.asymmetric import labelled_share
from dmix.methods.addons.pseudo import confident, pseudo_labels
from dmix.objectives.decoupled import asymmetric_decoupled_ce, decoupled_ce
from dmix.objectives.mce import mce
from dmix.policies.draw import draw_lams
from dmix.policies.mixup import Mixup
from mixed_losses import asymmetric_loss, labelled_loss
from transfer_goldens import GOLDENS, doubles, is_golden

CLASSES = 7


@pytest.fixture
def rows():
    rng = np.random.default_rng(3)
    y = rng.integers(CLASSES, size=12)
    pseudo = np.where(np.arange(12) % 4 == 0, y, (y + rng.integers(1, CLASSES, size=12)) % CLASSES)
    arrays = (rng.normal(scale=3, size=(12, CLASSES)), y, pseudo, rng.uniform(0.01, 0.5, size=12))
    logits, *rest = map(torch.from_numpy, arrays)
    return logits.requires_grad_(), *rest


def gradient(loss, logits):
    return torch.autograd.grad(loss, logits)[0]


def numeric_gradient(function, logits, step=1e-5):
    found = torch.empty_like(logits)
    for place in np.ndindex(*logits.shape):
        moved = torch.zeros_like(logits)
        moved[place] = step
        found[place] = (function(logits + moved) - function(logits - moved)) / (2 * step)
    return found


def test_losses_of_mixed_rows_are_golden():
    given, expected = GOLDENS["dm_losses"]["inputs"], GOLDENS["dm_losses"]["expected"]
    logits = doubles(given["logits"]).requires_grad_()
    rows = (logits, torch.tensor(given["class_a"]), torch.tensor(given["class_b"]), doubles(given["lam"]))
    is_golden(mce(*rows), expected["mce_per_row"])
    is_golden(asymmetric_decoupled_ce(*rows), expected["d1_per_row"])
    is_golden(decoupled_ce(*rows), expected["d2_per_row"])
    is_golden(gradient(asymmetric_decoupled_ce(*rows).sum(), logits), expected["grad_logits_sum_d1"])
    for loss, name in ((labelled_loss, "total_dm"), (asymmetric_loss, "total_as")):
        total = loss(*rows, eta=given["eta"])
        is_golden(total, expected[name])
        is_golden(gradient(total, logits), expected[f"grad_logits_{name}"])
    is_golden(asymmetric_loss(*rows, eta=given["eta"], sides="both"), expected["total_dm"])


def test_two_classes_have_no_decoupled_term():
    corner = GOLDENS["dm_losses"]["two_class_corner"]
    rows = (
        doubles(corner["logits"]),
        torch.tensor(corner["class_a"]),
        torch.tensor(corner["class_b"]),
        doubles([0.3]),
    )
    is_golden(asymmetric_decoupled_ce(*rows), corner["expected_d1"])
    is_golden(decoupled_ce(*rows), corner["expected_d2"])
    assert torch.equal(asymmetric_loss(*rows, eta=5.0), mce(*rows).mean())


def test_mixing_and_masked_loss_are_golden():
    given, expected = GOLDENS["as_mixing"]["inputs"], GOLDENS["as_mixing"]["expected"]
    drawn = np.array(given["ell"])
    wanted = labelled_share(drawn, "at_most_half")
    lam = torch.from_numpy(wanted)
    is_golden(lam, expected["lam_le"])
    is_golden(torch.from_numpy(labelled_share(drawn, "at_least_half")), expected["lam_ge"])
    assert labelled_share(drawn, "free") is drawn
    x_l, x_u = (doubles(given[name])[..., None, None] for name in ("x_labelled", "x_unlabelled"))
    mixed = Mixup(alpha=1.0).blend(x_l, x_u, wanted, None, None).images
    is_golden(mixed.flatten(1), expected["mixed_le"])
    mask = confident(doubles(given["confidence"]), given["tau"])
    is_golden(mask, expected["mask"])
    logits = doubles(given["logits"]).requires_grad_()
    rows = (logits, torch.tensor(given["y"]), torch.tensor(given["v"]), lam)
    for i, value in enumerate(expected["row_loss_unmasked"]):
        one = asymmetric_loss(*(field[i : i + 1] for field in rows), eta=given["eta"])
        is_golden(one, value)
    loss = asymmetric_loss(*rows, eta=given["eta"], mask=mask)
    is_golden(loss, expected["loss"])
    is_golden(gradient(loss, logits), expected["grad_logits"])


@pytest.mark.parametrize(("alpha", "mean"), GOLDENS["as_mixing"]["mean_of_min_lambda"].items())
def test_mean_share_of_the_labelled_side(alpha, mean):
    drawn = draw_lams(np.random.default_rng(0), float(alpha), 10**6)
    lam = labelled_share(drawn, "at_most_half").astype(float)
    assert lam.max() <= 0.5
    assert lam.mean() == pytest.approx(mean, abs=1e-3)
    opposite = labelled_share(drawn, "at_least_half").astype(float)
    assert opposite.mean() == pytest.approx(1 - mean, abs=1e-3)


def test_losses_are_naive_loops(rows):
    logits, y, pseudo, lam = rows
    mask = torch.arange(12) % 3 != 0
    found = {"labelled": 0.0, "both": 0.0, "masked": 0.0}
    for z, a, b, share, kept in zip(logits, y, pseudo, lam, mask, strict=True):
        log_p = z.log_softmax(0)
        mixed = -share * log_p[a] - (1 - share) * log_p[b]
        others = [torch.tensor([c for c in range(CLASSES) if c != deleted]) for deleted in (b, a)]
        terms = [
            z[rest].logsumexp(0) - z[kept_class] if a != b else z.new_zeros(())
            for rest, kept_class in zip(others, (a, b), strict=True)
        ]
        found["labelled"] += (mixed + 0.7 * terms[0]) / 12
        found["both"] += (mixed + 0.7 * sum(terms)) / 12
        found["masked"] += kept * (mixed + 0.7 * terms[0]) / 12
    is_close = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(asymmetric_loss(*rows, eta=0.7), found["labelled"], **is_close)
    torch.testing.assert_close(labelled_loss(*rows, eta=0.7), found["both"], **is_close)
    masked = asymmetric_loss(*rows, eta=0.7, mask=mask.double())
    torch.testing.assert_close(masked, found["masked"], **is_close)


@pytest.mark.parametrize("sides", ["labelled", "both"])
def test_gradients_are_central_differences(rows, sides):
    logits, *rest = rows
    mask = (torch.arange(12) % 5 != 0).double()

    def loss(z):
        return asymmetric_loss(z, *rest, eta=0.7, mask=mask, sides=sides)

    numeric = numeric_gradient(loss, logits.detach())
    torch.testing.assert_close(gradient(loss(logits), logits), numeric, rtol=0, atol=1e-8)


def test_limits(rows):
    logits, y, pseudo, lam = rows
    for sides in ("labelled", "both"):
        assert torch.equal(asymmetric_loss(*rows, eta=0.0, sides=sides), mce(*rows).mean())
    whole = asymmetric_loss(logits, y, pseudo, torch.ones_like(lam), eta=0.7)
    torch.testing.assert_close(whole, functional.cross_entropy(logits, y), rtol=1e-12, atol=1e-12)
    swapped = labelled_loss(logits, pseudo, y, 1 - lam, eta=0.7)
    torch.testing.assert_close(labelled_loss(*rows, eta=0.7), swapped, rtol=1e-12, atol=1e-12)


def test_a_mask_of_zeros_leaves_nothing(rows):
    loss = asymmetric_loss(*rows, eta=0.7, mask=torch.zeros(12, dtype=torch.float64))
    assert loss.item() == 0
    assert not gradient(loss, rows[0]).any()


def test_gradient_at_the_pseudo_class_is_that_of_mce_for_every_eta(rows):
    at_pseudo = rows[2].unsqueeze(1)
    expected = gradient(mce(*rows).mean(), rows[0]).gather(1, at_pseudo)
    for eta in (0.1, 1.0, 100.0):
        found = gradient(asymmetric_loss(*rows, eta=eta), rows[0]).gather(1, at_pseudo)
        assert torch.equal(found, expected)


def test_gradient_of_the_decoupled_terms_does_not_depend_on_lam(rows):
    logits, y, pseudo, lam = rows
    expected = gradient(decoupled_ce(*rows).sum(), logits)
    for share in (lam / 2, 1 - lam, torch.full_like(lam, 0.5)):
        assert torch.equal(gradient(decoupled_ce(logits, y, pseudo, share).sum(), logits), expected)


@pytest.mark.parametrize("extreme", [1e4, -1e4])
def test_labelled_term_does_not_see_the_pseudo_class_in_float32(rows, extreme):
    logits, y, pseudo, lam = rows
    kept = y != pseudo
    z, y, pseudo, lam = logits.detach().float()[kept], y[kept], pseudo[kept], lam[kept]
    moved = z.scatter(1, pseudo.unsqueeze(1), extreme).requires_grad_()
    found = asymmetric_decoupled_ce(moved, y, pseudo, lam)
    assert torch.equal(found, asymmetric_decoupled_ce(z, y, pseudo, lam))
    at_pseudo = gradient(found.sum(), moved).gather(1, pseudo.unsqueeze(1))
    assert not at_pseudo.any()


def test_a_copy_of_the_head_is_only_a_route(rows):
    _, y, pseudo, lam = rows
    torch.manual_seed(0)
    head = torch.nn.Linear(5, CLASSES).double()
    features = torch.randn(12, 5, dtype=torch.float64)
    own = copy.deepcopy(head)
    losses = [asymmetric_loss(h(features), y, pseudo, lam, eta=0.7) for h in (head, own)]
    assert torch.equal(*losses)
    losses[1].backward()
    assert head.weight.grad is None
    assert bool(own.weight.grad.any())


def test_pseudo_labels_are_one_hot_and_get_no_gradient(rows):
    found = pseudo_labels(rows[0])
    p = rows[0].detach().softmax(1)
    assert found.classes.tolist() == [int(row.argmax()) for row in p]
    torch.testing.assert_close(found.confidence, p.amax(1), rtol=1e-15, atol=0)
    assert not found.confidence.requires_grad
    assert pseudo_labels(rows[0].bfloat16()).confidence.dtype == torch.float32
    assert confident(found.confidence, 0.0).all()
    assert not confident(found.confidence, 1.1).any()
    assert confident(found.confidence, float(found.confidence[4]))[4] == 1
