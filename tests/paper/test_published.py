"""At full scale, numbers and gains are counted against the published ones."""

import pytest

from dmix.paper.agreement import agreement, comparisons, farthest
from dmix.report.build import load_table
from fabricated import everything_present, fabricate
from project import real_grid
from rendered import REFERENCE


def table5(tmp_path, score):
    grid = everything_present(real_grid("full"))
    fabricate(grid, tmp_path, grid.table_runs(grid.params.tables["table5"]), score=score)
    data = load_table(grid, "table5", tmp_path, REFERENCE)
    return agreement(data, rows := comparisons(data, grid.params)), rows


@pytest.mark.parametrize(("score", "side"), [(99.5, "above"), (0.5, "below")])
def test_numbers_far_away(tmp_path, score, side):
    found, rows = table5(tmp_path, lambda spec: score)
    assert found.numbers == len(rows) > 30
    assert getattr(found, side) == found.numbers
    assert (found.within, found.positive, found.clear, found.others) == (0, 0, 0, {})
    assert found.gains == found.published == found.published_positive > 10
    assert found.same_sign == 0
    assert len(farthest([("5", row) for row in rows], 7)) == 7


def test_wide_spread_is_within(tmp_path):
    found, rows = table5(tmp_path, lambda spec: (5.0, 50.0, 95.0)[spec.seed])
    assert (found.within, found.above, found.below) == (found.numbers, 0, 0)
    assert farthest([("5", row) for row in rows], 7) == ()


def test_the_farthest_are_first(tmp_path):
    _, rows = table5(tmp_path, lambda spec: 50.0 + spec.seed)
    numbers = [abs(row.z) for _, row in farthest([("5", row) for row in rows], len(rows))]
    assert len(numbers) > 10
    assert numbers == sorted(numbers, reverse=True)
