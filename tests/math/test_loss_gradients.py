from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from dmix.objectives.decoupled import asymmetric_decoupled_ce, decoupled_ce
from dmix.objectives.mce import mce
from objectives import ALL, BINARY, DECOUPLED, SOFTMAX, TERMS, WITH_ETA, dense, gradient


@pytest.fixture(params=ALL)
def objective(request):
    return ALL[request.param]


def two_hot(rows):
    return dense(rows, torch.ones_like(rows.lam), torch.ones_like(rows.lam))


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
    closed = rows.logits.softmax(1) - dense(rows, rows.lam, 1 - rows.lam)
    torch.testing.assert_close(gradient(mce, rows), closed, rtol=0, atol=1e-12)


def test_proposition_2(rows):
    closed = without(rows.logits, rows.y_b) + without(rows.logits, rows.y_a) - two_hot(rows)
    torch.testing.assert_close(gradient(decoupled_ce, rows), closed, rtol=0, atol=1e-12)


def test_asymmetric_term_is_the_labelled_half_of_proposition_2(rows):
    closed = without(rows.logits, rows.y_b) - functional.one_hot(rows.y_a, rows.logits.shape[1])
    torch.testing.assert_close(gradient(asymmetric_decoupled_ce, rows), closed, rtol=0, atol=1e-12)


def asymmetric(*rows):
    return mce(*rows) + 0.7 * asymmetric_decoupled_ce(*rows)


def test_asymmetric_objective_never_pushes_the_pseudo_label(rows):
    for dtype in (torch.float64, torch.float32):
        rows = rows._replace(logits=rows.logits.to(dtype))
        at_b = rows.y_b.unsqueeze(1)
        assert not gradient(asymmetric_decoupled_ce, rows).gather(1, at_b).any()
        found = gradient(asymmetric, rows).gather(1, at_b)
        assert torch.equal(found, gradient(mce, rows).gather(1, at_b))


@pytest.mark.parametrize("name", SOFTMAX)
def test_gradient_sums_to_zero_in_every_row(name, rows):
    sums = gradient(SOFTMAX[name], rows).sum(1)
    torch.testing.assert_close(sums, torch.zeros_like(sums), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", TERMS)
def test_terms_and_their_gradients_do_not_depend_on_lam(name, rows):
    for lam in (0.002, 0.5, 0.998):
        other = rows._replace(lam=torch.full_like(rows.lam, lam))
        assert torch.equal(TERMS[name](*other), TERMS[name](*rows))
        assert torch.equal(gradient(TERMS[name], other), gradient(TERMS[name], rows))


@pytest.mark.parametrize("name", TERMS)
def test_two_classes_have_no_decoupled_term(name, rows):
    two = rows._replace(logits=rows.logits[:, :2], y_a=rows.y_a % 2, y_b=1 - rows.y_a % 2)
    with torch.autograd.set_detect_anomaly(True):  # a NaN that is overwritten later is an error too
        assert not TERMS[name](*two).any()
        assert not gradient(TERMS[name], two).any()


@pytest.mark.parametrize("name", DECOUPLED)
@pytest.mark.parametrize("eta", [0.1, 1.0])
def test_rows_of_one_class_are_plain_cross_entropy(name, rows, eta):
    same = rows._replace(y_b=rows.y_a)

    def objective(*arguments):
        return DECOUPLED[name](*arguments, eta=eta)

    plain = functional.cross_entropy(same.logits, same.y_a, reduction="none")
    one_hot = functional.one_hot(same.y_a, same.logits.shape[1])
    torch.testing.assert_close(objective(*same), plain, rtol=0, atol=1e-13)
    torch.testing.assert_close(
        gradient(objective, same), same.logits.softmax(1) - one_hot, rtol=0, atol=1e-13
    )


@pytest.mark.parametrize("name", TERMS)
def test_rows_of_one_class_have_no_decoupled_term(name, rows):
    same = rows._replace(y_b=rows.y_a)
    assert not TERMS[name](*same).any()
    assert not gradient(TERMS[name], same).any()


@pytest.mark.parametrize("lam", [0.0, 1e-4, 1e-3, 0.999, 1.0])
@pytest.mark.parametrize("name", DECOUPLED)
def test_unmixed_rows_receive_exactly_the_gradient_of_mce(name, rows, lam):
    edge = rows._replace(lam=torch.full_like(rows.lam, lam, dtype=torch.float32))
    assert torch.equal(WITH_ETA[name](*edge), mce(*edge))
    assert torch.equal(gradient(WITH_ETA[name], edge), gradient(mce, edge))


@pytest.mark.parametrize("name", BINARY)
def test_gradient_of_binary_objectives_is_the_sigmoid_minus_the_target(name, rows):
    """One row per kind: a mix, a class with itself, and an image alone."""
    scale = rows.logits.shape[1] if BINARY[name].keywords["reduction"] == "mean_all" else 1
    targets = {
        "mbce_one": lambda lam: lam,
        "mbce_two": torch.ones_like,
        "dm_bce_cutting": lambda lam: (lam / 0.8).clamp(max=1),
        "dm_bce_interpolation": torch.sqrt,
    }[name]
    closed = rows.logits.sigmoid() - dense(rows, targets(rows.lam), targets(1 - rows.lam))
    torch.testing.assert_close(gradient(BINARY[name], rows) * scale, closed, rtol=0, atol=1e-12)
    same = rows._replace(y_b=rows.y_a)
    closed = rows.logits.sigmoid() - functional.one_hot(rows.y_a, rows.logits.shape[1])
    torch.testing.assert_close(gradient(BINARY[name], same) * scale, closed, rtol=0, atol=1e-12)
    alone = rows._replace(lam=torch.full_like(rows.lam, 5e-4))
    closed = rows.logits.sigmoid() - dense(alone, alone.lam, 1 - alone.lam)
    torch.testing.assert_close(gradient(BINARY[name], alone) * scale, closed, rtol=0, atol=1e-12)
