"""Where the losses are least: at the mixed label, with the decoupled term and without it."""

import pytest
import torch

from dmix.objectives.dm_ce import dm_ce
from dmix.objectives.mce import mce

CLASSES = 7
ROWS = 20_000
LAMS = (0.05, 0.2, 0.5, 0.9)


def labels(lam, rows=1):
    a, b = torch.zeros(rows, dtype=torch.int64), torch.ones(rows, dtype=torch.int64)
    return a, b, torch.full((rows,), lam, dtype=torch.float64)


def logits_of(*shares):
    """Return a row whose softmax has `shares` at the first classes, and all but nothing at the rest."""
    rest = torch.full((CLASSES - len(shares),), -40.0, dtype=torch.float64)
    return torch.cat((torch.tensor(shares, dtype=torch.float64).log(), rest))[None]


def drawn():
    """Return random rows from nearly uniform to nearly one-hot."""
    generator = torch.Generator().manual_seed(7)
    spread = 10 ** (3 * torch.rand(ROWS, 1, generator=generator, dtype=torch.float64) - 2)
    return spread * torch.randn(ROWS, CLASSES, generator=generator, dtype=torch.float64)


def entropy(lam):
    shares = torch.tensor([lam, 1 - lam], dtype=torch.float64)
    return -(shares * shares.log()).sum().item()


def beside(lam):
    """Yield the rows of mixed labels that differ a little from lam."""
    yield from (logits_of(lam + step, 1 - lam - step) for step in (-0.03, -0.001, 0.001, 0.03))


@pytest.mark.parametrize("lam", LAMS)
def test_mce_is_least_at_the_mixed_label(lam):
    least = mce(logits_of(lam, 1 - lam), *labels(lam)).item()
    assert least == pytest.approx(entropy(lam), abs=1e-12)
    assert mce(drawn(), *labels(lam, ROWS)).min() > least
    assert all(mce(other, *labels(lam)).item() > least for other in beside(lam))


@pytest.mark.parametrize("eta", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("lam", LAMS)
def test_dm_ce_is_least_at_the_mixed_label(lam, eta):
    least = dm_ce(logits_of(lam, 1 - lam), *labels(lam), eta=eta).item()
    assert least == pytest.approx(entropy(lam), abs=1e-12)
    assert dm_ce(drawn(), *labels(lam, ROWS), eta=eta).min() > least
    assert all(dm_ce(other, *labels(lam), eta=eta).item() > least for other in beside(lam))


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.99])
def test_decoupled_term_vanishes_on_the_two_classes(share):
    def term(logits):
        return (dm_ce(logits, *labels(0.3), eta=1.0) - mce(logits, *labels(0.3))).item()

    assert term(logits_of(share, 1 - share)) == pytest.approx(0, abs=1e-12)
    assert term(logits_of(share / 2, (1 - share) / 2, 0.5)) > 0.5  # a third class has mass
