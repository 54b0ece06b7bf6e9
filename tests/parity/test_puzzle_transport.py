from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch.nn.functional import avg_pool2d

from dmix.policies.puzzle_energy import block_shares
from dmix.policies.puzzle_saliency import input_saliency
from dmix.policies.puzzle_solver import minimise
from dmix.policies.puzzle_transport import transport, transport_plan
from naive_puzzlemix import auction, digit_energies, digit_images, digit_network, moved

EPS = 0.8
GRIDS = [(2, 2), (4, 4), (8, 8), (2, 5), (6, 3), (1, 4)]
SHARES = ["noise", "spiky", "one", "even", "half empty"]
MASKS = ["noise", "blob", "all", "none", "one"]


def make_shares(kind, n, rows, columns, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(n, rows, columns, generator=generator, dtype=torch.float64)
    if kind == "spiky":
        values = values**20
    elif kind == "one":
        values = (values == values.amax((1, 2), keepdim=True)).double()
    elif kind == "even":
        values = torch.ones_like(values)
    elif kind == "half empty":
        values = values * (values > values.amax((1, 2), keepdim=True) / 2)
    return values / values.sum((1, 2), keepdim=True)


def make_mask(kind, n, rows, columns, seed=1):
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(n, rows, columns, generator=generator)
    if kind == "blob":
        return avg_pool2d(values, 3, 1, 1) < 0.4
    if kind == "one":
        return values == values.amax((1, 2), keepdim=True)
    return {"noise": values < 0.3, "all": values < 2, "none": values > 2}[kind]


def costs(shares, visible):
    """The table (T, T) of one image."""
    rows, columns = shares.shape
    y, x = np.divmod(np.arange(rows * columns), columns)
    square = (y[:, None] - y) ** 2 + (x[:, None] - x) ** 2
    return EPS * square / (max(rows, columns) - 1) ** 2 - np.outer(shares.flatten(), visible.flatten())


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("kind", SHARES)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_plan_is_the_naive_auctions(grid, kind, mask):
    shares, visible = make_shares(kind, 4, *grid), make_mask(mask, 4, *grid)
    plan = transport_plan(shares, visible, EPS)
    places = list(itertools.product(*map(range, grid)))
    for row in range(4):
        winners = auction(shares[row].tolist(), visible[row].tolist(), EPS)
        expected = [place if winners[place] is None else winners[place] for place in places]
        assert [places[source] for source in plan[row].tolist()] == expected


@budget(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    grid=st.tuples(st.integers(1, 9), st.integers(1, 9)).filter(lambda grid: max(grid) > 1),
    kind=st.sampled_from(SHARES),
    mask=st.sampled_from(MASKS),
    eps=st.sampled_from([1e-6, 0.01, 0.8, 100.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 2**31),
)
def test_every_visible_place_has_exactly_one_block(grid, kind, mask, eps, dtype, seed):
    shares, visible = make_shares(kind, 3, *grid, seed).to(dtype), make_mask(mask, 3, *grid, seed + 1)
    plan = transport_plan(shares, visible, eps)
    assert bool(((plan >= 0) & (plan < grid[0] * grid[1])).all())
    for row, shown in zip(plan, visible.flatten(1), strict=True):
        sources = row[shown].tolist()
        assert len(set(sources)) == len(sources)


def gaps(shares, visible):
    """Cost of the plan above the best assignment of blocks to visible places, of every image."""
    plan = transport_plan(shares, visible, EPS)
    result = []
    for row in range(len(plan)):
        seen = visible[row].flatten().numpy()
        table = costs(shares[row].numpy(), visible[row].numpy())
        chosen = table[plan[row].numpy(), np.arange(len(table))]
        assert bool((chosen <= table.diagonal())[seen].all())  # no place is worse off than with its own block
        best = table[:, seen][linear_sum_assignment(table[:, seen])].sum()
        result.append(chosen[seen].sum() - best)
    assert min(result) > -1e-12
    return result


@pytest.mark.parametrize("grid", [(2, 2), (4, 4), (8, 8), (16, 16)])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("kind", SHARES)
def test_cost_of_what_is_seen_is_near_the_best_assignment(kind, mask, grid):
    assert np.mean(gaps(make_shares(kind, 12, *grid), make_mask(mask, 12, *grid))) <= 0.03


@pytest.mark.parametrize("blocks", [4, 8, 16])
def test_digits_are_moved_at_nearly_the_best_cost(blocks):
    images, labels = digit_images(40, 32)
    saliency = input_saliency(digit_network(), (images - 0.3) / 0.3, labels)
    visible = minimise(digit_energies(1.0, blocks, 40)) < 2
    assert max(gaps(block_shares(saliency, (blocks, blocks)).double(), visible)) <= 0.03


def test_salient_block_moves_to_the_near_visible_place():
    shares = torch.full((1, 4, 4), 0.01)
    shares[0, 2, 1] = 0.85
    visible = torch.zeros(1, 4, 4, dtype=torch.bool)
    visible[0, 0, 1] = visible[0, 2, 2] = True
    plan = transport_plan(shares, visible, EPS).view(4, 4)
    assert plan[2, 2] == 2 * 4 + 1  # one step for 0.85
    assert plan[0, 1] == 1  # what is there is nearer than anything more salient


def test_nothing_moves_where_distance_is_dear():
    shares, visible = make_shares("spiky", 5, 6, 6), make_mask("noise", 5, 6, 6)
    assert torch.equal(transport_plan(shares, visible, 100.0), torch.arange(36).expand(5, -1))


def test_nothing_moves_where_nothing_is_hidden_and_all_is_equal():
    shares, visible = make_shares("even", 2, 8, 8), make_mask("all", 2, 8, 8)
    assert torch.equal(transport_plan(shares, visible, EPS), torch.arange(64).expand(2, -1))


def test_rows_do_not_see_each_other():
    shares, visible = make_shares("spiky", 9, 8, 8), make_mask("blob", 9, 8, 8)
    together = transport_plan(shares, visible, EPS)
    for row in range(9):
        assert torch.equal(
            transport_plan(shares[row, None], visible[row, None], EPS), together[row : row + 1]
        )


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    ("size", "grid"), [((8, 8), (4, 4)), ((6, 10), (3, 2)), ((4, 9), (2, 9)), ((5, 7), (5, 7))], ids=str
)
def test_transported_image_is_the_naive_one_bit_for_bit(size, grid, dtype, channels_last):
    generator = torch.Generator().manual_seed(4)
    images = torch.randn(3, 3, *size, generator=generator).to(dtype)
    if channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    before = images.clone()
    row = torch.tensor([2, 0, 0, 1])
    plan = torch.randint(grid[0] * grid[1], (4, grid[0] * grid[1]), generator=generator)
    found = transport(images, row, plan, grid)
    places = list(itertools.product(*map(range, grid)))
    for image, source, sources in zip(found, row, plan, strict=True):
        by_place = dict(zip(places, (places[k] for k in sources.tolist()), strict=True))
        assert torch.equal(image, moved(images[source], by_place, *grid))
    assert torch.equal(images, before)
    assert found.is_contiguous(memory_format=torch.channels_last)
