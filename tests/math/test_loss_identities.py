from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from dmix.losses.ce import ce
from dmix.losses.decoupled import decoupled_ce, log_phi
from dmix.losses.dm_ce import dm_ce
from dmix.losses.mce import mce

OBJECTIVES = {
    "ce": ce,
    "mce": mce,
    "dm_ce": lambda *rows: dm_ce(*rows, eta=0.7),
    "decoupled_ce": decoupled_ce,
}


@pytest.fixture(params=OBJECTIVES)
def objective(request):
    return OBJECTIVES[request.param]


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def soft_targets(rows):
    target = torch.zeros_like(rows.logits)
    target.scatter_add_(1, rows.y_a.unsqueeze(1), rows.lam.unsqueeze(1))
    return target.scatter_add_(1, rows.y_b.unsqueeze(1), (1 - rows.lam).unsqueeze(1))


def test_decoupled_softmax_is_a_distribution_over_the_other_classes(rows):
    total = torch.zeros_like(rows.lam)
    for column in range(rows.logits.shape[1]):
        target = torch.full_like(rows.y_b, column)
        log = log_phi(rows.logits, target, rows.y_b)
        assert bool((log >= rows.logits.log_softmax(1)[:, column])[column != rows.y_b].all())
        total += torch.where(column == rows.y_b, 0, log.exp())
    close(total, torch.ones_like(total))


def test_decoupled_term_is_two_cross_entropies_and_two_log_complements(rows):
    pair = torch.stack([rows.y_a, rows.y_b], 1)
    p = rows.logits.softmax(1).gather(1, pair)
    both = -p.log().sum(1)
    found = decoupled_ce(*rows)
    # 1 - p loses digits where p is near 1; the comparison allows what that costs.
    torch.testing.assert_close(found, both + torch.log1p(-p).sum(1), rtol=1e-9, atol=1e-9)
    assert bool((found >= 0).all())
    assert bool((found <= both).all())


def test_a_constant_added_to_the_logits_changes_nothing(objective, rows):
    close(objective(rows.logits + 7.25, *rows[1:]), objective(*rows))


def test_renaming_the_classes_changes_nothing(objective, rows):
    classes = rows.logits.shape[1]
    renamed = torch.randperm(classes, generator=torch.Generator().manual_seed(classes))
    logits = torch.empty_like(rows.logits)
    logits[:, renamed] = rows.logits
    close(objective(logits, renamed[rows.y_a], renamed[rows.y_b], rows.lam), objective(*rows))


@pytest.mark.parametrize("name", ["mce", "dm_ce", "decoupled_ce"])
def test_swapping_the_sides_changes_nothing(name, rows):
    swapped = (rows.logits, rows.y_b, rows.y_a, 1 - rows.lam)
    close(OBJECTIVES[name](*swapped), OBJECTIVES[name](*rows))


@pytest.mark.parametrize("same", [False, True])
def test_eta_0_is_cross_entropy_with_soft_targets(rows, same):
    rows = rows._replace(y_b=rows.y_a) if same else rows
    expected = functional.cross_entropy(rows.logits, soft_targets(rows), reduction="none")
    close(mce(*rows), expected)
    assert torch.equal(dm_ce(*rows, eta=0.0), mce(*rows))


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
