"""Measures of the minor class of mixed images: against a naive loop and against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from dmix.mixed.linearity import share_error
from dmix.mixed.minor import at_shares, minor_sums
from dmix.mixed.record import SHARES, AtShare, Mixing
from dmix.policies.policy import Mixed


def mixed(y_a, y_b, lam):
    lam = torch.as_tensor(lam, dtype=torch.float32)
    return Mixed(torch.empty(len(lam), 3, 0, 0), torch.as_tensor(y_a), torch.as_tensor(y_b), lam)


def measures(batch, logits):
    return at_shares(minor_sums(batch, logits).tolist())


def naive(batch, logits):
    """Share -> the values of each mixed image in the bin, from the definitions."""
    found = {}
    for z, a, b, lam in zip(
        logits.tolist(), batch.y_a.tolist(), batch.y_b.tolist(), batch.lam.tolist(), strict=True
    ):
        if a == b:
            continue
        weight, minor = (lam, a) if lam < 0.5 else (1 - lam, b)
        total = sum(math.exp(value) for value in z)
        p = [math.exp(value) / total for value in z]
        best = sorted(range(len(z)), key=lambda c: (-z[c], c))[:2]
        outside = math.log(sum(math.exp(value) for c, value in enumerate(z) if c not in (a, b)))
        row = (set(best) == {a, b}, weight, p[a] + p[b], z[minor] - outside, abs(p[a] / (p[a] + p[b]) - lam))
        found.setdefault(round(20 * weight) / 20, []).append(row)
    return found


def test_it_is_a_loop_over_single_images():
    generator = torch.Generator().manual_seed(3)
    n, classes = 400, 5
    y_a, y_b = torch.randint(classes, (2, n), generator=generator)
    lam = torch.rand(n, generator=generator)
    lam[:42] = torch.arange(42) % 21 / 20  # those of the sweep, each twice
    logits = torch.randn(n, classes, generator=generator).mul(2).round()  # with ties
    batch = mixed(y_a, y_b, lam)
    expected = naive(batch, logits)
    found = measures(batch, logits)
    assert [at.share for at in found] == list(SHARES) == sorted(expected)
    for at in found:
        rows = expected[at.share]
        top2, *means = (sum(column) for column in zip(*rows, strict=True))
        assert (at.pairs, at.top2) == (len(rows), top2)
        assert [at.weight, at.mass, at.margin, at.share_error] == pytest.approx(
            [total / len(rows) for total in means], abs=1e-6
        )
    assert 0 < sum(at.top2 for at in found) < sum(at.pairs for at in found) < n


@pytest.mark.parametrize("share", SHARES[1:])
def test_a_network_that_says_the_shares_has_no_error_and_a_known_margin(share):
    """Probabilities are 0.9 times the two shares, and 0.05 for each of two further classes."""
    lam = torch.tensor([share, 1 - share])
    p = torch.full((2, 4), 0.05)
    p[:, 2], p[:, 0] = 0.9 * lam, 0.9 * (1 - lam)
    (at,) = measures(mixed([2, 2], [0, 0], lam), p.log())
    assert (at.share, at.pairs) == (share, 2)
    assert at.top2_percent == (100 if 0.9 * share > 0.05 else 0)
    assert at.weight == pytest.approx(share, abs=1e-6)
    assert at.mass == pytest.approx(0.9, abs=1e-6)
    assert at.margin == pytest.approx(math.log(0.9 * share / 0.1), abs=1e-5)
    assert at.share_error == pytest.approx(0, abs=1e-6)


def test_a_network_that_says_one_class_errs_by_the_other_share():
    (at,) = measures(mixed([0, 0], [1, 1], [0.8, 0.2]), torch.tensor([[60.0, 0, 0], [0, 60.0, 0]]))
    assert at.share_error == pytest.approx(0.2, abs=1e-6)
    assert at.margin == pytest.approx(0, abs=1e-6)
    assert at.mass == pytest.approx(1)


def test_where_both_weigh_the_same_the_partner_is_the_minor_class():
    (at,) = measures(mixed([0], [1], [0.5]), torch.tensor([[5.0, 2.0, 1.0]]))
    assert at.margin == pytest.approx(1)


def test_with_two_classes_in_all_there_is_no_margin():
    batch = mixed([0, 1, 0], [1, 0, 0], [0.3, 0.7, 0.5])
    (at,) = measures(batch, torch.tensor([[1.0, 2.0], [0.0, 3.0], [1.0, 1.0]]))
    assert (at.share, at.pairs, at.top2, at.margin) == (0.3, 2, 2, None)
    assert at.mass == pytest.approx(1)


def test_the_computation_reads_no_value_on_the_host():
    """Tensors of the device "meta" have no values: whatever waits for one fails."""
    with torch.device("meta"):
        batch = Mixed(
            torch.empty(6, 3, 4, 4),
            torch.zeros(6, dtype=torch.long),
            torch.zeros(6, dtype=torch.long),
            torch.empty(6),
        )
        assert minor_sums(batch, torch.empty(6, 4)).shape == (len(SHARES), 6)


def test_more_hits_than_pairs_are_refused():
    with pytest.raises(ValueError, match="top2 <= pairs"):
        AtShare(share=0.2, pairs=1, top2=2, weight=0.2, mass=1, margin=0, share_error=0)


def at(share, pairs, error):
    return AtShare(share=share, pairs=pairs, top2=0, weight=share, mass=1, margin=0, share_error=error)


def test_the_share_error_is_the_mean_over_mixed_images():
    """Of 10 and 30 images with errors 0.1 and 0.3: 0.25. The 100 unmixed ones do not count."""
    unmixed, *others = at(0.0, 100, 0.9), at(0.2, 10, 0.1), at(0.4, 30, 0.3)
    assert share_error(Mixing.model_construct(minor=(unmixed, *others))) == pytest.approx(0.25)
    assert share_error(Mixing.model_construct(minor=(unmixed,))) is None


def test_a_bin_is_found_by_its_share():
    bins = tuple(at(share, 1, 0.1) for share in SHARES[2:])
    found = Mixing.model_construct(minor=bins)
    assert [found.at_share(share) for share in SHARES] == [None, None, *bins]
