from __future__ import annotations

import sys

import pytest
import torch

from dmix.errors import DmixError
from dmix.policies import puzzle_solver
from dmix.policies.puzzle_energy import Energy
from dmix.policies.puzzle_gco import gco_solver, integer_terms
from dmix.policies.puzzle_solver import dual_proximal, minimise, relax
from naive_puzzlemix import (
    KINDS,
    PUBLISHED,
    digit_energies,
    labellings,
    minimum_cut,
    pair_energy,
    random_energies,
)

GAP = 1e-3  # the energy may exceed the exact minimum by this share of it
EXACT = 1e-6  # the same, where nothing but rounding is allowed


def worst_gap(energy, labels, best):
    energy = Energy(energy.unary.double(), energy.down.double(), energy.right.double())
    return float((energy.of(labels) / energy.of(best) - 1).max())


def brute_force(energy):
    """Least energies (N,) over all labellings."""
    n, levels, blocks, _ = energy.unary.shape
    every = labellings(levels, blocks)
    return torch.stack([energy.of(part.expand(-1, n, -1, -1)).amin(0) for part in every.split(1000)]).amin(0)


def pair(s1, s2, lam=0.5, **constants):
    black = torch.zeros(3, len(s1), len(s1)).numpy()
    return pair_energy(s1, s2, black, black, lam, PUBLISHED._replace(**constants))


@pytest.mark.parametrize("kind", KINDS)
def test_no_labelling_of_a_2x2_grid_is_better(kind):
    energy = random_energies(kind, 2, 300)
    torch.testing.assert_close(energy.of(minimise(energy)), brute_force(energy), rtol=EXACT, atol=0)


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_no_labelling_of_a_3x3_grid_is_better_by_more_than_the_gap(kind, levels):
    energy = random_energies(kind, 3, 20, levels)
    ratio = energy.of(minimise(energy)) / brute_force(energy)
    assert float(ratio.min()) >= 1 - EXACT
    assert float(ratio.max()) <= 1 + GAP


def test_minimum_cut_of_these_tests_is_exact():
    for levels in (2, 3):
        energy = random_energies("smooth", 3, 10, levels)
        torch.testing.assert_close(energy.of(minimum_cut(energy)), brute_force(energy), rtol=EXACT, atol=0)


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize(("blocks", "n"), [(4, 40), (8, 20), (16, 10)])
@pytest.mark.parametrize("kind", KINDS)
def test_random_pairs_come_close_to_the_minimum_cut(kind, blocks, n, levels):
    energy = random_energies(kind, blocks, n, levels)
    assert -EXACT <= worst_gap(energy, minimise(energy), minimum_cut(energy)) <= GAP


@pytest.mark.parametrize("alpha", [1.0, 2.0])
@pytest.mark.parametrize(("blocks", "n"), [(2, 60), (4, 60), (8, 30), (16, 12)])
def test_pairs_of_digits_come_close_to_the_minimum_cut(alpha, blocks, n):
    energy = digit_energies(alpha, blocks, n)
    best = minimum_cut(energy)
    labels = minimise(energy)
    assert -EXACT <= worst_gap(energy, labels, best) <= GAP
    assert float((labels == best).float().mean()) > 0.99
    assert len(labels.unique()) == 3


def test_without_smoothness_every_block_is_solved_for_itself():
    energy = random_energies("smooth", 8, 50)
    free = Energy(energy.unary, torch.zeros_like(energy.down), torch.zeros_like(energy.right))
    assert torch.equal(minimise(free), energy.unary.argmin(1))


def test_saliency_of_one_image_alone_shows_it_everywhere():
    even, none = [[1 / 16] * 4] * 4, [[0.0] * 4] * 4
    assert not minimise(pair(even, none)).any()
    assert torch.equal(minimise(pair(none, even)), torch.full((1, 4, 4), 2))


def test_strong_prior_is_followed():
    even = [[1 / 16] * 4] * 4
    for lam, label in ((0.99, 0), (0.5, 1), (0.01, 2)):
        assert torch.equal(minimise(pair(even, even, lam, eta=5.0)), torch.full((1, 4, 4), label))


def test_rows_do_not_see_each_other():
    energy = random_energies("smooth", 4, 12)
    order = torch.randperm(12)
    permuted = Energy(energy.unary[order], energy.down[order], energy.right[order])
    labels = minimise(energy)
    assert torch.equal(minimise(permuted), labels[order])
    for row in range(12):
        single = Energy(*(term[row : row + 1] for term in (energy.unary, energy.down, energy.right)))
        assert torch.equal(minimise(single)[0], labels[row])


def test_turned_grid_has_the_turned_solution():
    energy = random_energies("spiky", 4, 20)
    turned = Energy(energy.unary.mT, energy.right.mT, energy.down.mT)
    torch.testing.assert_close(turned.of(minimise(turned)), energy.of(minimise(energy)), rtol=EXACT, atol=0)


def test_energy_of_large_costs_is_solved_as_well():
    energy = random_energies("smooth", 4, 20)
    large = Energy(1e4 * energy.unary, 1e4 * energy.down, 1e4 * energy.right)
    assert worst_gap(energy, minimise(large), minimum_cut(energy)) <= GAP


@pytest.mark.parametrize("levels", [2, 3])
def test_every_rounding_of_a_converged_solution_is_optimal(levels):
    energy = random_energies("smooth", 4, 8, levels)
    energy = Energy(energy.unary.double(), energy.down.double(), energy.right.double())
    labels = relax(energy, 3000)
    best = energy.of(minimum_cut(energy))
    for threshold in (0.01, 0.3, 0.7, 0.99):
        rounded = (labels + 1 - threshold).floor().long()
        torch.testing.assert_close(energy.of(rounded), best, rtol=EXACT, atol=0)


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("step", [0.1, 0.4])
def test_dual_proximal_map_is_the_one_of_the_conjugate(levels, step):
    """argmin over z of g*(z) + (z - v)^2 / (2 step), by search; g*(z) = max over integers d of z d - g(d)."""
    unit = 1 / (levels - 1) ** 2
    z = torch.linspace(-(2 * levels - 3) * unit, (2 * levels - 3) * unit, 20_001, dtype=torch.float64)
    differences = torch.arange(1 - levels, levels, dtype=torch.float64)
    conjugate = (z[:, None] * differences - unit * differences.square()).amax(1)
    v = torch.linspace(-3, 3, 301, dtype=torch.float64)
    searched = z[(conjugate + (z - v[:, None]).square() / (2 * step)).argmin(1)]
    torch.testing.assert_close(dual_proximal(v, step, levels), searched, rtol=0, atol=3e-4)


def test_the_device_is_not_waited_for(monkeypatch):
    """The work is the same for every energy: no count of iterations depends on the data."""
    calls = []
    proximal = puzzle_solver.dual_proximal
    monkeypatch.setattr(puzzle_solver, "dual_proximal", lambda *a: calls.append(1) or proximal(*a))
    counts = set()
    for kind in KINDS:
        calls.clear()
        minimise(random_energies(kind, 4, 3))
        counts.add(len(calls))
    assert counts == {36}


@pytest.fixture
def swap():
    pytest.importorskip("gco")
    return gco_solver()


@pytest.mark.parametrize("blocks", [2, 3, 4, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_swap_is_within_its_known_gap(swap, kind, blocks):
    energy = random_energies(kind, blocks, 40)
    labels, best = swap(energy), minimum_cut(energy)
    assert labels.dtype == torch.int64
    assert -EXACT <= worst_gap(energy, labels, best) <= 0.06
    assert float((labels == best).float().mean()) > 0.9


def test_swap_agrees_on_pairs_of_digits(swap):
    energy = digit_energies(1.0, 8, 30)
    found, ours = swap(energy), minimise(energy)
    assert float((energy.of(ours) / energy.of(found)).max()) <= 1 + GAP
    assert float((energy.of(found) / energy.of(ours)).max()) <= 1.06
    assert float((found == ours).float().mean()) > 0.9


def test_swap_of_two_levels_is_a_minimum_cut(swap):
    energy = random_energies("smooth", 8, 20, levels=2)
    assert abs(worst_gap(energy, swap(energy), minimum_cut(energy))) <= EXACT


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_integer_terms_fit_whatever_the_scale(factor):
    """GCO aborts the process above 1e7."""
    energy = random_energies("tiny lam", 8, 20)
    scaled = Energy(factor * energy.unary, factor * energy.down, factor * energy.right)
    unary, down, right = integer_terms(scaled)
    for term in (unary, down, right):
        assert term.dtype == "int32"
        assert term.flags["C_CONTIGUOUS"]
        assert abs(term).max() < 1e7
    for row in range(20):
        ratio = unary[row] / energy.unary[row].movedim(0, 2).numpy()
        scale = unary[row].max() / energy.unary[row].max().item()
        assert abs(ratio / scale - 1).max() < 1e-3
        assert down[row] * 4 == pytest.approx(energy.down[row].numpy() * scale, abs=3, rel=1e-6)
        assert right[row] * 4 == pytest.approx(energy.right[row].numpy() * scale, abs=3, rel=1e-6)


def test_swap_without_its_package_is_an_error_with_a_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "gco", None)
    with pytest.raises(DmixError, match=r"pip install 'dmix\[gco\]'"):
        gco_solver()
