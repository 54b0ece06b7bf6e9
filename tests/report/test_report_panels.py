"""A wide table stays readable: continued below itself as text, shrunk to the line in LaTeX."""

import itertools

import pytest

from dmix.report.latex import to_latex
from dmix.report.panels import panels
from dmix.report.sheet import paper
from dmix.report.text import MOST_WIDTH, to_text


@pytest.fixture
def wide(toy):
    """Two data sets, two backbones, two objectives: 8 columns, as Table 1 of the paper."""
    cells = itertools.product(("toy100", "toy10"), ("mix", "cut", "auto"), ("r18", "rx50"), ("mce", "dm_ce"))
    specs = [
        toy.spec_of(policy, backbone, objective, seed, dataset=dataset)
        for dataset, policy, backbone, objective in cells
        for seed in range(3)
    ]
    grid = toy.make_grid(specs)
    for index, spec in enumerate(specs):
        toy.write(grid, spec, 60.0 + index / 8)
    return paper(toy.table(grid))


def test_golden(toy, wide):
    assert to_text(wide) == (toy.expected / "wide.txt").read_text()


def columns_of(data, room):
    """Return the numbers of columns that stand beside each other where a column is 10 wide."""
    return [len(part.columns) for part in panels(data, lambda part: 10 * len(part.columns), room)]


@pytest.mark.parametrize(
    ("room", "widths"),
    [
        (80, [8]),
        (79, [4, 4]),  # a data set each
        (60, [4, 4]),
        (39, [2, 2, 2, 2]),  # a backbone each
        (19, [1] * 8),
        (5, [1] * 8),  # nothing fits: no part is wider than it must be
    ],
)
def test_it_is_broken_between_the_outermost_titles_that_fit(wide, room, widths):
    assert columns_of(wide, room) == widths


def test_neighbours_stand_together_where_they_fit(toy):
    data = paper(toy.table(toy.sweep(), "sweep"))
    assert columns_of(data, 30) == [3, 2]


def test_parts_hold_every_column_once_and_in_order(wide):
    parts = panels(wide, lambda part: 10 * len(part.columns), 50)
    assert [column for part in parts for column in part.columns] == list(wide.columns)
    for row, line in enumerate(wide.lines):
        assert [number for part in parts for number in part.lines[row].numbers] == list(line.numbers)


def test_no_line_is_wider_than_a_terminal(wide):
    text = to_text(wide)
    assert max(map(len, text.splitlines())) <= MOST_WIDTH
    assert text.count("Policy") == 2
    assert text.count("±") == 3 * 8 + 1  # and once in the caption


def test_a_wide_table_is_one_tabular_with_a_header_for_each_part(toy):
    cells = itertools.product((1.0, 2.0, 3.0), (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), range(3))
    specs = [
        toy.spec_of("mix", "r18", "dm_ce", seed, [("objective.t", t), ("objective.eta", eta)])
        for t, eta, seed in cells
    ]
    grid = toy.make_grid(specs)
    for index, spec in enumerate(specs):
        toy.write(grid, spec, 60.0 + index / 8)
    text = to_latex(paper(toy.table(grid, columns=("objective.t", "objective.eta"))))
    assert text.count(r"\begin{tabular}{@{}l*{6}{r@{}l}@{}}") == text.count(r"\end{tabular}") == 1
    assert (text.count(r"\toprule"), text.count(r"\midrule[\heavyrulewidth]")) == (1, 2)
    assert (text.count("Policy &"), text.count("Mix\\_up")) == (3, 3)
    assert text.count(r"& \dmixsd{") == 18
