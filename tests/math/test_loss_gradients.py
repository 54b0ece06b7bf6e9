from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from dmix.losses.decoupled import decoupled_ce
from dmix.losses.dm_ce import dm_ce
from dmix.losses.mce import mce

OBJECTIVES = {"mce": mce, "dm_ce": lambda *rows: dm_ce(*rows, eta=0.7), "decoupled_ce": decoupled_ce}


@pytest.fixture(params=OBJECTIVES)
def objective(request):
    return OBJECTIVES[request.param]


def gradient(objective, rows):
    logits = rows.logits.clone().requires_grad_()
    return torch.autograd.grad(objective(logits, *rows[1:]).sum(), logits)[0]


def two_hot(rows, weight_a, weight_b):
    columns = torch.stack([rows.y_a, rows.y_b], 1)
    weights = torch.stack([weight_a, weight_b], 1)
    return torch.zeros_like(rows.logits).scatter(1, columns, weights)


def without(logits, removed):
    """The softmax over the other classes; 0 at the removed one."""
    return logits.scatter(1, removed.unsqueeze(1), float("-inf")).softmax(1)


def test_central_differences_agree(objective, rows):
    step = 1e-5
    numeric = torch.empty_like(rows.logits)
    for column in range(rows.logits.shape[1]):
        moved = torch.zeros_like(rows.logits)
        moved[:, column] = step
        up, down = (objective(rows.logits + sign * moved, *rows[1:]) for sign in (1, -1))
        numeric[:, column] = (up - down) / (2 * step)
    torch.testing.assert_close(gradient(objective, rows), numeric, rtol=0, atol=1e-8)


@pytest.mark.parametrize("rows", [(2, 5), (5, 6), (10, 7)], indirect=True, ids=lambda p: f"C{p[0]}")
def test_gradcheck(objective, rows):
    assert torch.autograd.gradcheck(lambda z: objective(z, *rows[1:]), rows.logits.requires_grad_())


def test_proposition_1(rows):
    closed = rows.logits.softmax(1) - two_hot(rows, rows.lam, 1 - rows.lam)
    torch.testing.assert_close(gradient(mce, rows), closed, rtol=0, atol=1e-12)


def test_proposition_2(rows):
    one = torch.ones_like(rows.lam)
    closed = without(rows.logits, rows.y_b) + without(rows.logits, rows.y_a) - two_hot(rows, one, one)
    torch.testing.assert_close(gradient(decoupled_ce, rows), closed, rtol=0, atol=1e-12)


def test_gradient_sums_to_zero_in_every_row(objective, rows):
    sums = gradient(objective, rows).sum(1)
    torch.testing.assert_close(sums, torch.zeros_like(sums), rtol=0, atol=1e-12)


def test_decoupled_term_and_its_gradient_do_not_depend_on_lam(rows):
    for lam in (0.002, 0.5, 0.998):
        other = rows._replace(lam=torch.full_like(rows.lam, lam))
        assert torch.equal(decoupled_ce(*other), decoupled_ce(*rows))
        assert torch.equal(gradient(decoupled_ce, other), gradient(decoupled_ce, rows))


def test_two_classes_have_no_decoupled_term(rows):
    two = rows._replace(logits=rows.logits[:, :2], y_a=rows.y_a % 2, y_b=1 - rows.y_a % 2)
    assert not decoupled_ce(*two).any()
    assert not gradient(decoupled_ce, two).any()


@pytest.mark.parametrize("eta", [0.1, 1.0])
def test_rows_of_one_class_are_plain_cross_entropy(rows, eta):
    same = rows._replace(y_b=rows.y_a)
    plain = functional.cross_entropy(same.logits, same.y_a, reduction="none")
    one_hot = functional.one_hot(same.y_a, same.logits.shape[1])
    torch.testing.assert_close(dm_ce(*same, eta=eta), plain, rtol=0, atol=1e-13)
    torch.testing.assert_close(
        gradient(lambda *r: dm_ce(*r, eta=eta), same), same.logits.softmax(1) - one_hot, rtol=0, atol=1e-13
    )
    assert not decoupled_ce(*same).any()
    assert not gradient(decoupled_ce, same).any()


@pytest.mark.parametrize("lam", [0.0, 1e-4, 1e-3, 0.999, 1.0])
def test_unmixed_rows_receive_exactly_the_gradient_of_mce(rows, lam):
    edge = rows._replace(lam=torch.full_like(rows.lam, lam, dtype=torch.float32))
    assert torch.equal(dm_ce(*edge, eta=1.0), mce(*edge))
    assert torch.equal(gradient(lambda *r: dm_ce(*r, eta=1.0), edge), gradient(mce, edge))
