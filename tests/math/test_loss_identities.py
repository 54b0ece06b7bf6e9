from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from dmix.objectives.ce import ce
from dmix.objectives.decoupled import (
    asymmetric_decoupled_ce,
    decoupled_ce,
    decoupled_ce_of_set,
    decoupled_terms,
    log_phi,
)
from dmix.objectives.dm_ce import dm_ce
from dmix.objectives.dm_ce_released import dm_ce_released
from dmix.objectives.mce import mce
from objectives import ALL, DECOUPLED, ONE_SIDED, SOFTMAX, dense


@pytest.fixture(params=ALL)
def objective(request):
    return ALL[request.param]


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_decoupled_softmax_is_a_distribution_over_the_other_classes(rows):
    total = torch.zeros_like(rows.lam)
    for column in range(rows.logits.shape[1]):
        log = log_phi(rows.logits, torch.full_like(rows.y_b, column), rows.y_b)[:, 0]
        # A removed class of little probability changes nothing but the last digit.
        assert bool((log + 1e-14 >= rows.logits.log_softmax(1)[:, column])[column != rows.y_b].all())
        total += torch.where(column == rows.y_b, 0, log.exp())
    close(total, torch.ones_like(total))


def test_removing_a_class_without_probability_changes_nothing(rows):
    logits = rows.logits.scatter(1, rows.y_b.unsqueeze(1), -1e3)
    log = log_phi(logits, rows.y_a, rows.y_b)[:, 0]
    close(log, logits.log_softmax(1).gather(1, rows.y_a.unsqueeze(1)).squeeze(1))


def test_decoupled_term_is_two_cross_entropies_and_two_log_complements(rows):
    pair = torch.stack([rows.y_a, rows.y_b], 1)
    p = rows.logits.softmax(1).gather(1, pair)
    both = -p.log().sum(1)
    found = decoupled_ce(*rows)
    # 1 - p loses digits where p is near 1; the comparison allows what that costs.
    torch.testing.assert_close(found, both + torch.log1p(-p).sum(1), rtol=1e-9, atol=1e-9)
    assert bool((found >= 0).all())
    assert bool((found <= both).all())


def test_the_two_sides_add_up(rows):
    swapped = (rows.logits, rows.y_b, rows.y_a, 1 - rows.lam)
    assert torch.equal(decoupled_ce(*rows), decoupled_terms(*rows).sum(1))
    assert torch.equal(asymmetric_decoupled_ce(*rows), decoupled_terms(*rows)[:, 0])
    close(asymmetric_decoupled_ce(*rows) + asymmetric_decoupled_ce(*swapped), decoupled_ce(*rows))


def test_sets_of_every_size(rows):
    """Against the definition: each mixed class in a softmax without the other mixed classes."""
    classes = rows.logits.shape[1]
    generator = torch.Generator().manual_seed(classes)
    for size in {0, 1, 2, 3, classes - 1, classes} & set(range(classes + 1)):
        members = torch.rand(rows.logits.shape, generator=generator).argsort(1)[:, :size]
        mixed = torch.zeros(rows.logits.shape, dtype=torch.bool).scatter(1, members, True)
        expected = torch.zeros_like(rows.lam)
        for column in range(classes) if size > 1 else ():
            kept = ~mixed
            kept[:, column] = True
            log = rows.logits.masked_fill(~kept, float("-inf")).log_softmax(1)[:, column]
            expected -= torch.where(mixed[:, column], log, 0)
        logits = rows.logits.clone().requires_grad_()
        with torch.autograd.set_detect_anomaly(True):
            found = decoupled_ce_of_set(logits, mixed)
            (grad,) = torch.autograd.grad(found.sum(), logits)
        close(found, expected)
        assert bool(grad.isfinite().all())
        assert bool(grad.any()) == (1 < size < classes)


@pytest.mark.parametrize("name", SOFTMAX)
def test_a_constant_added_to_the_logits_changes_nothing(name, rows):
    close(SOFTMAX[name](rows.logits + 7.25, *rows[1:]), SOFTMAX[name](*rows))


def test_renaming_the_classes_changes_nothing(objective, rows):
    classes = rows.logits.shape[1]
    renamed = torch.randperm(classes, generator=torch.Generator().manual_seed(classes))
    logits = torch.empty_like(rows.logits)
    logits[:, renamed] = rows.logits
    close(objective(logits, renamed[rows.y_a], renamed[rows.y_b], rows.lam), objective(*rows))


@pytest.mark.parametrize("lam", [None, 0.5])
@pytest.mark.parametrize("name", sorted(ALL.keys() - ONE_SIDED))
def test_swapping_the_sides_changes_nothing(name, rows, lam):
    rows = rows if lam is None else rows._replace(lam=torch.full_like(rows.lam, lam))
    swapped = (rows.logits, rows.y_b, rows.y_a, 1 - rows.lam)
    close(ALL[name](*swapped), ALL[name](*rows))


@pytest.mark.parametrize("same", [False, True])
def test_eta_0_is_cross_entropy_with_soft_targets(rows, same):
    rows = rows._replace(y_b=rows.y_a) if same else rows
    expected = functional.cross_entropy(rows.logits, dense(rows, rows.lam, 1 - rows.lam), reduction="none")
    close(mce(*rows), expected)
    for objective in DECOUPLED.values():
        assert torch.equal(objective(*rows, eta=0.0), mce(*rows))


def test_dm_ce_is_linear_in_eta(rows):
    for eta in (0.1, 1.0, 3.0):
        assert torch.equal(dm_ce(*rows, eta=eta), mce(*rows) + eta * decoupled_ce(*rows))


def test_ce_reads_neither_partner_nor_lam(rows):
    expected = functional.cross_entropy(rows.logits, rows.y_a, reduction="none")
    close(ce(*rows), expected)
    close(mce(rows.logits, rows.y_a, rows.y_b, torch.ones_like(rows.lam)), expected)
    close(ce(rows.logits, rows.y_a, rows.y_a, 1 - rows.lam), expected)


def test_lam_one_half_is_not_special(rows):
    half, beside = (rows._replace(lam=torch.full_like(rows.lam, lam)) for lam in (0.5, 0.5 + 1e-9))
    assert torch.equal(decoupled_ce(*half), decoupled_ce(*rows))
    torch.testing.assert_close(dm_ce(*half, eta=1.0), dm_ce(*beside, eta=1.0), rtol=0, atol=1e-6)


def test_released_form_without_weights_is_the_paper_s(rows):
    assert torch.equal(dm_ce_released(*rows, eta=0.3, mode="both", power=0.0), dm_ce(*rows, eta=0.3))


def test_released_modes_weigh_each_row_by_its_own_shares(rows):
    """Whatever the order of the class indices, within a row or in the first row of a batch."""
    assert bool((rows.y_a < rows.y_b).any() and (rows.y_a > rows.y_b).any() and (rows.lam < 0.5).any())
    terms = (-log_phi(*rows[:3])).tolist()
    for power in (0.0, 0.5, 1.0):
        weighted = {"both": [], "less": [], "more": []}
        for lam, (term_a, term_b) in zip(rows.lam.tolist(), terms, strict=True):
            a, b = lam**power * term_a, (1 - lam) ** power * term_b
            weighted["both"].append(a + b)
            weighted["less"].append(a if lam < 0.5 else b)
            weighted["more"].append(a if lam > 0.5 else b)
        for mode, expected in weighted.items():
            found = dm_ce_released(*rows, eta=0.3, mode=mode, power=power)
            close(found, mce(*rows) + 0.3 * torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("mode", ["less", "more"])
def test_released_modes_keep_both_terms_at_one_half(rows, mode):
    half = rows._replace(lam=torch.full_like(rows.lam, 0.5))
    found = dm_ce_released(*half, eta=1.0, mode=mode, power=0.5)
    assert torch.equal(found, dm_ce_released(*half, eta=1.0, mode="both", power=0.5))
    close(found, mce(*half) + 0.5**0.5 * decoupled_ce(*half))


def test_rows_do_not_see_each_other(objective, rows):
    """Rows in another order, or one at a time, have the same losses: mixed, same-class and unmixed ones."""
    y_b = torch.where(torch.arange(len(rows.y_b)) % 3 == 0, rows.y_a, rows.y_b)
    lam = torch.where(torch.arange(len(rows.lam)) % 4 == 0, 1.0, rows.lam)
    rows = rows._replace(y_b=y_b, lam=lam)
    batch = objective(*rows)
    for order in (torch.arange(len(batch)).flip(0), rows.lam.argsort(), rows.y_a.argsort()):
        close(objective(*(field[order] for field in rows)), batch[order])
    single = torch.stack(
        [objective(*(field[i : i + 1] for field in rows)).squeeze(0) for i in range(len(batch))]
    )
    close(batch.mean(), single.mean())
    close(batch, single)
