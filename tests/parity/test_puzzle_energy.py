from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dmix.policies.puzzle_energy import block_shares, largest_divisor, prior_costs, puzzle_energy
from naive_puzzlemix import PUBLISHED, energy_of, labellings, neighbours, pooled, row_energy, shares, step

# Companion data of the specification, puzzlemix_energy_b2: gamma 0, lam 0.4, published constants otherwise.
S1, S2 = [[0.5, 0.1], [0.3, 0.1]], [[0.1, 0.4], [0.2, 0.3]]
BEST_LABELS, BEST, SECOND_BEST = [0, 2, 1, 2], 0.83674264975, 0.8604232621
ALL_FIRST, ALL_SECOND = 1.36651628025, 1.204330243951


def batch(n, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    saliency = torch.rand(n, height, width, generator=generator, dtype=torch.float64) ** 3
    pixels = torch.rand(n, 3, height, width, generator=generator, dtype=torch.float64)
    partner = torch.randperm(n, generator=generator)
    return saliency, pixels, partner, torch.rand(n, generator=generator, dtype=torch.float64)


def golden_energy(dtype=torch.float64):
    return puzzle_energy(
        torch.tensor([S1, S2], dtype=dtype),
        torch.zeros(2, 3, 2, 2, dtype=dtype),
        torch.tensor([1, 0]),
        torch.tensor([0.4, 0.6], dtype=dtype),
        blocks=2,
        **PUBLISHED._replace(gamma=0.0)._asdict(),
    )


def test_energies_are_the_golden_ones():
    every = labellings(3, 2)
    energies = golden_energy().of(every.expand(-1, 2, -1, -1))[:, 0]
    order = energies.argsort()
    assert every[order[0]].flatten().tolist() == BEST_LABELS
    expected = [BEST, SECOND_BEST, ALL_FIRST, ALL_SECOND]
    found = [energies[order[0]], energies[order[1]], energies[0], energies[-1]]
    assert torch.stack(found).tolist() == pytest.approx(expected, rel=0, abs=1e-10)


def test_partner_sees_the_mirrored_energy():
    """Row 1 mixes the same two images the other way round with lam 0.6: labels count backwards."""
    every = labellings(3, 2)
    energies = golden_energy()
    own = energies.of(every.expand(-1, 2, -1, -1))[:, 0]
    torch.testing.assert_close(energies.of((2 - every).expand(-1, 2, -1, -1))[:, 1], own, rtol=0, atol=1e-12)


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize(
    ("blocks", "height", "width", "edge_pool"),
    [
        (2, 8, 8, 4),
        (2, 2, 2, 4),
        (4, 16, 8, 4),
        (2, 12, 36, 4),
        (2, 14, 10, 4),
        (8, 8, 16, 2),
        (4, 16, 16, 1),
    ],
)
def test_every_term_is_the_naive_one(blocks, height, width, edge_pool, levels):
    constants = PUBLISHED._replace(levels=levels, edge_pool=edge_pool)
    saliency, pixels, partner, lam = batch(3, height, width)
    found = puzzle_energy(saliency, pixels, partner, lam, blocks=blocks, **constants._asdict())
    for row in range(3):
        expected = row_energy(saliency, pixels, partner, lam, row, blocks, constants)
        for name in ("unary", "down", "right"):
            term = getattr(found, name)[row]
            torch.testing.assert_close(term, getattr(expected, name)[0], rtol=0, atol=1e-13)


@pytest.mark.parametrize("levels", [2, 3])
def test_energy_of_a_labelling_is_the_naive_sum(levels):
    constants = PUBLISHED._replace(levels=levels)
    arguments = batch(3, 16, 8)
    energy = puzzle_energy(*arguments, blocks=4, **constants._asdict())
    labels = torch.randint(levels, (5, 3, 4, 4), generator=torch.Generator().manual_seed(1))
    found = energy.of(labels)
    assert found.shape == (5, 3)
    for row in range(3):
        naive = row_energy(*arguments, row, 4, constants)
        expected = [energy_of(naive, candidate[row].tolist()) for candidate in labels]
        assert found[:, row].tolist() == pytest.approx(expected, rel=1e-13)
    assert torch.equal(energy.of(labels[0]), found[0])


def test_data_term_is_the_step_across_the_seams_but_for_a_constant():
    """With binary labels it is saliency lost, prior, a Potts term and the steps of the mixed image."""
    blocks, constants = 2, PUBLISHED._replace(levels=2, gamma=1.0)
    saliency, pixels, _, lam = batch(2, 8, 12)
    partner = torch.tensor([1, 0])
    every = labellings(2, blocks)
    energy = puzzle_energy(saliency, pixels, partner, lam, blocks=blocks, **constants._asdict())
    found = energy.of(every.expand(-1, 2, -1, -1))
    smoothness = constants.beta / (16 * blocks)
    for row in range(2):
        pair = row, int(partner[row])
        s = [shares(saliency[k].tolist(), blocks, blocks) for k in pair]
        q = [pooled(pixels[k].numpy(), 4, blocks) for k in pair]
        rest, steps = [], []
        for labelling in every[:, 0].tolist():
            lost = sum(s[1 - labelling[i][j]][i][j] for i, j in np.ndindex(blocks, blocks))
            ones = sum(map(sum, labelling))
            own = float(lam[row])
            likelihood = -(4 - ones) * math.log(own + 1e-8) - ones * math.log(1 - own + 1e-8)
            steps.append(0.0)
            unlike = 0
            for u, v in neighbours(blocks):
                a, b = labelling[u[0]][u[1]], labelling[v[0]][v[1]]
                unlike += a != b
                steps[-1] += smoothness * step(q[a], q[b], u, v, blocks)
            rest.append(lost + constants.eta / blocks**2 * likelihood + smoothness * unlike)
        difference = found[:, row] - torch.tensor(rest, dtype=torch.float64)
        constant = difference - torch.tensor(steps, dtype=torch.float64)
        assert float(constant.max() - constant.min()) < 1e-12
        assert float(difference.max() - difference.min()) > 1e-3


def test_like_images_cost_the_same_whatever_is_shown():
    """A pair of one image with itself at lam 1/2: only unlike labels and the prior are left."""
    saliency, pixels, _, _ = batch(1, 8, 8)
    energy = puzzle_energy(
        saliency, pixels, torch.tensor([0]), torch.tensor([0.5]), blocks=2, **PUBLISHED._asdict()
    )
    torch.testing.assert_close(energy.unary[:, 0], energy.unary[:, 2], rtol=0, atol=1e-15)


def test_edges_weigh_at_least_what_convexity_needs():
    """A step of like choices is at most that of unlike ones plus 2, so w + beta' >= beta' * (1 - gamma)."""
    saliency, _, partner, lam = batch(40, 8, 8)
    extremes = torch.randint(2, (40, 3, 8, 8), generator=torch.Generator().manual_seed(2)).double()
    smoothness = 1.2 / (16 * 4)
    for gamma in (0.0, 0.5, 1.0):
        constants = PUBLISHED._replace(gamma=gamma, edge_pool=1)
        energy = puzzle_energy(saliency, extremes, partner, lam, blocks=4, **constants._asdict())
        least = min(float(energy.down.min()), float(energy.right.min()))
        assert least >= smoothness * (1 - gamma) - 1e-15
    far_out = puzzle_energy(saliency, 50 * extremes, partner, lam, blocks=4, **PUBLISHED._asdict())
    assert min(float(far_out.down.min()), float(far_out.right.min())) == 0


@pytest.mark.parametrize("levels", [2, 3, 5])
def test_prior_is_binomial(levels):
    lam = torch.tensor([0.0, 1e-9, 0.3, 0.5, 1.0], dtype=torch.float64)
    costs = prior_costs(lam, levels)
    assert bool(costs.isfinite().all())
    torch.testing.assert_close((-costs).exp().sum(1), torch.full((5,), 1 + levels * 1e-8).double())
    mean_label = ((-costs).exp() * torch.arange(levels)).sum(1)
    torch.testing.assert_close(1 - mean_label / (levels - 1), lam, rtol=0, atol=1e-7)
    assert costs[0].argmin() == levels - 1
    assert costs[-1].argmin() == 0


def test_shares_of_maps_without_information_are_equal():
    """All zero (a network that is certain, a constant image) or not finite (a network that diverged)."""
    saliency = torch.rand(5, 6, 8) + 0.1
    saliency[1] = 0
    saliency[2, 3, 4] = torch.nan
    saliency[3, 0, 0] = torch.inf
    found = block_shares(saliency, (3, 2))
    assert torch.equal(found[1:4], torch.full((3, 3, 2), 1 / 6))
    for row in (0, 4):
        expected = torch.tensor(shares(saliency[row].tolist(), 3, 2))
        torch.testing.assert_close(found[row], expected)


def test_shares_do_not_depend_on_the_scale():
    saliency = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(3))
    tiny = block_shares(saliency * 2.0**-60, (4, 4))
    assert torch.equal(tiny, block_shares(saliency, (4, 4)))


def test_divisors():
    assert [largest_divisor(side, 4) for side in (1, 2, 6, 7, 9, 16, 28)] == [1, 2, 3, 1, 3, 4, 4]
    assert largest_divisor(14, 1000) == 14
