from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from dmix.policies.box import box_around, cut_ratio, kept_share
from dmix.policies.draw import draw_lams, draw_partner
from montecarlo import assert_mean
from naive_mixing import permutation

GOLDENS = json.loads((Path(__file__).parents[1] / "math" / "goldens.json").read_text())
SIZES = (32, 64, 224)
N = 200_000
# alpha: P(min(lam, 1 - lam) <= 1e-3), P(empty CutMix box) at SIZES, E[min(lam, 1 - lam)], to 3 decimals.
DEGENERATE = {
    0.1: (0.508, (0.291, 0.254, 0.197), 0.058),
    0.2: (0.264, (0.174, 0.132, 0.080), 0.101),
    0.5: (0.040, (0.040, 0.020, 0.006), 0.182),
    1.0: (0.002, (0.004, 0.001, 0.000), 0.250),
    2.0: (0.000, (0.000, 0.000, 0.000), 0.313),
}


def boxes(alpha, size, seed=0):
    rng = np.random.default_rng(seed)
    lam = draw_lams(rng, alpha, N)
    x, y = (torch.from_numpy(rng.integers(size, size=N)) for _ in "xy")
    return box_around(x, y, cut_ratio(lam), size, size)


@pytest.mark.parametrize("golden", GOLDENS["cutmix_boxes"], ids=lambda g: f"{g['lam']}-{g['centre']}")
def test_box_is_the_golden_one(golden):
    width, height = golden["size"]
    x, y = (torch.tensor([c]) for c in golden["centre"])
    found = box_around(x, y, cut_ratio(np.array([golden["lam"]], np.float32)), height, width)
    assert found.tolist() == [golden["box"]]
    assert kept_share(found, height, width).tolist() == [golden["lam_corrected"]]


@pytest.mark.parametrize("size", SIZES)
def test_mean_of_the_corrected_lam_is_the_golden_one(size):
    lam = kept_share(boxes(1.0, size), size, size)
    assert_mean(lam, GOLDENS["cutmix_mean_lambda_alpha1"][str(size)])


@pytest.mark.parametrize("alpha", DEGENERATE)
def test_degenerate_draws_are_as_frequent_as_tabled(alpha):
    tiny, empty, mean = DEGENERATE[alpha]
    lam = draw_lams(np.random.default_rng(1), alpha, N).astype(np.float64)
    smaller = np.minimum(lam, 1 - lam)
    assert_mean(smaller <= 1e-3, tiny, 5e-4)
    assert_mean(smaller, mean, 5e-4)
    for size, expected in zip(SIZES, empty, strict=True):
        assert_mean(kept_share(boxes(alpha, size, seed=2), size, size) == 1, expected, 5e-4)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_lam_is_beta_by_kolmogorov_and_smirnov(alpha):
    lam = draw_lams(np.random.default_rng(3), alpha, 20_000)
    assert stats.kstest(lam, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [0.1, 0.2])
def test_lam_of_small_alpha_is_beta(alpha):
    """Here float32 rounds many draws to 1, which ties the order statistics; the inner cdf must still fit."""
    lam = draw_lams(np.random.default_rng(4), alpha, N)
    for edge in (1e-6, 1e-3, 0.1, 0.3, 0.5, 0.8, 0.99, 0.9999):
        assert_mean(lam <= edge, stats.beta.cdf(edge, alpha, alpha))


@pytest.mark.parametrize("n", [1, 2, 3, 8])
@pytest.mark.parametrize("derangement", [False, True])
def test_partners_are_the_naive_ones(n, derangement):
    """Many batches from one generator: also how many draws are taken from it must agree."""
    rng, naive = np.random.default_rng(n), np.random.default_rng(n)
    for _ in range(1000):
        assert draw_partner(rng, n, derangement).tolist() == permutation(naive, n, derangement)


@pytest.mark.parametrize("derangement", [False, True])
def test_own_partners_are_as_rare_as_promised(derangement):
    """2 of 6 permutations of 3 rows have no fixed point; one draw and 10 more leave (2/3)^11 of the rest."""
    rng = np.random.default_rng(5)
    fixed = [(draw_partner(rng, 3, derangement) == np.arange(3)).any() for _ in range(20_000)]
    assert_mean(np.array(fixed), (2 / 3) ** (11 if derangement else 1))
