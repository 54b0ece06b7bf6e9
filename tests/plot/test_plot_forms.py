"""What is read back from a drawn figure is what its records say, in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from dmix.errors import DmixError
from dmix.plot.render import draw
from dmix.plot.style import styled
from drawn import series
from fabricated import fabricate
from project import ROOT
from small_figures import figure_grid

OFFSET = {"mixup": 0.0, "cutmix": 1.0, "puzzlemix": 3.0, "vanilla": -4.0}
TITLES = {"Mixup": "mixup", "CutMix": "cutmix", "PuzzleMix": "puzzlemix"}
ETA = {"mixup": 0.1, "cutmix": 0.1, "puzzlemix": 1.0}
T_OF_2 = 4.302652729749464  # the 0.975 quantile of Student's t with two degrees of freedom
STEP = 2.0  # between the scores of seeds
ROWS = 4


def invented(spec) -> float:
    """50 + 10 eta + the policy's offset, seeds 2 points apart; MCE 5 lower, less 1 for each seed."""
    eta = spec.settings["objective"].get("eta", 0.5)
    lower = 5.0 - spec.seed if spec.axes["objective"] == "mce" else 0.0
    return 50 + 10 * eta + OFFSET[spec.axes["policy"]] + STEP * spec.seed - lower


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    return figure_grid(tmp_path_factory.mktemp("params"))


@pytest.fixture(scope="module")
def runs(grid, tmp_path_factory):
    root = tmp_path_factory.mktemp("forms") / "records"
    fabricate(grid, root, score=invented, rows=ROWS)
    return root


@pytest.fixture
def drawn(grid, runs, monkeypatch):
    monkeypatch.chdir(ROOT)

    def of(name, root=runs):
        with styled():
            return draw(grid, name, root)

    return of


def bars(axes):
    """Name -> x, y, and the ends of the bars in y, or in x of a forest plot."""
    found = {}
    for one in axes.containers:
        assert isinstance(one, ErrorbarContainer)
        (ends,) = (lines.get_segments() for lines in one.lines[2])
        found[one.get_label()] = (*one.lines[0].get_data(), np.array([end for end in ends if len(end) == 2]))
    return found


def test_a_sweep_has_means_in_order_of_the_values_and_the_range_over_seeds(drawn):
    (axes,) = drawn("swept").figure.axes
    assert axes.get_xscale() == "log"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.1", "0.5", "1"]
    found = bars(axes)
    assert found.keys() == TITLES.keys()
    for title, (x, y, ends) in found.items():
        low = 50 + 10 * np.array([0.1, 0.5, 1.0]) + OFFSET[TITLES[title]]
        np.testing.assert_array_equal(x, [0.1, 0.5, 1.0])
        np.testing.assert_allclose(y, low + STEP, rtol=1e-12)
        np.testing.assert_allclose(ends[:, 0, 1], low, rtol=1e-12)
        np.testing.assert_allclose(ends[:, 1, 1], low + 2 * STEP, rtol=1e-12)


def test_a_sweep_rings_the_value_that_tables_use(drawn):
    (axes,) = drawn("swept").figure.axes
    rings = [line.get_data() for line in axes.get_lines() if line.get_label() == "_chosen"]
    wanted = {(eta, 52 + 10 * eta + OFFSET[policy]) for policy, eta in ETA.items()}
    assert {(float(*x), round(float(*y), 9)) for x, y in rings} == wanted


def test_a_sweep_has_gaps_where_no_run_is_finished(drawn, grid, tmp_path):
    names = [name for name in grid.grids["eta"] if "/mixup/" not in name or "/eta=0.5/" not in name]
    fabricate(grid, tmp_path, names, score=invented)
    _, y, ends = bars(drawn("swept", tmp_path).figure.axes[0])["Mixup"]
    assert [math.isnan(value) for value in y] == [False, True, False]
    assert len(ends) == 2


def test_the_mean_of_a_kind_needs_all_its_policies(drawn, grid, tmp_path):
    (axes,) = drawn("kinds").figure.axes
    lines = dict(series(axes))
    eta = np.array([0.1, 0.5, 1.0])
    np.testing.assert_allclose(lines["static"].get_ydata(), 52 + 10 * eta + 0.5, rtol=1e-12)
    np.testing.assert_allclose(lines["dynamic"].get_ydata(), 52 + 10 * eta + 3, rtol=1e-12)
    fabricate(grid, tmp_path, [name for name in grid.grids["eta"] if "/mixup/" not in name or "=" in name])
    partial = dict(series(drawn("kinds", tmp_path).figure.axes[0]))["static"].get_ydata()
    assert [math.isnan(value) for value in partial] == [True, False, False]


def test_a_course_is_the_mean_over_seeds_with_the_range_and_each_run(drawn):
    found = drawn("course")
    (axes,) = found.figure.axes
    share = np.sqrt(np.arange(1, ROWS + 1) / ROWS)
    last = {"DM(CE)": 53.0, "MCE": 55.0 + 2 - 4}  # means of the three scores of Mixup
    assert {name for name, _ in series(axes)} == set(last)
    for name, line in series(axes):
        np.testing.assert_allclose(line.get_ydata(), last[name] * share, rtol=1e-12)
        assert line.get_linestyle() == ("--" if name == "MCE" else "-")
    thin = [line.get_ydata()[-1] for line in axes.get_lines() if line.get_linewidth() < 0.5]
    assert sorted(round(float(y), 9) for y in thin) == [50, 51, 53, 53, 55, 56]
    assert len(axes.collections) == 2
    assert found.says == "Seeds: 3."


def test_small_multiples_have_a_panel_for_each_policy_and_problem_on_shared_axes(drawn):
    figure = drawn("small").figure
    panels = [axes for axes in figure.axes if axes.axison]
    assert len(panels) == 3 * 2  # Ghost too, which has no file yet, on two networks
    for column in (panels[::2], panels[1::2]):
        assert len({axes.get_ylim() for axes in column}) == len({axes.get_xlim() for axes in column}) == 1
    ends = {name: line.get_ydata()[-1] for name, line in series(panels[2])}
    assert ends == pytest.approx({"mce": 53.0, "dm_ce": 53.0, "vanilla": 53.0})


def test_gains_are_paired_with_their_interval_and_seeds(drawn):
    figure = drawn("forest").figure
    for axes in figure.axes:
        found = bars(axes)
        assert found.keys() == {"mixup", "cutmix"}
        # DM(CE) has eta 0.1 and MCE none: 1 - 5 points more, and 5 - seed less of MCE.
        mean = 1.0 - 5.0 + 5.0 - 1.0
        for row, policy in enumerate(("mixup", "cutmix")):
            x, y, ends = found[policy]
            assert (float(*x), float(*y)) == pytest.approx((mean, row))
            half = T_OF_2 / math.sqrt(3)
            assert ends[0, :, 0] == pytest.approx([mean - half, mean + half])
        dots = dict(series(axes))["seed"].get_xdata()
        assert sorted(dots) == pytest.approx(sorted([mean - 1, mean, mean + 1] * 2))


def test_costs_stand_in_their_class_with_the_pair_above_each_other(drawn):
    figure = drawn("costs").figure
    (axes,) = (axes for axes in figure.axes if axes.get_title() == "" and axes.containers)
    titles = dict(zip([tick.get_text() for tick in axes.get_xticklabels()], axes.get_xticks(), strict=True))
    assert list(titles) == ["Ghost", "Vanilla", "Mixup", "CutMix", "PuzzleMix"]
    assert titles["PuzzleMix"] - titles["CutMix"] > titles["CutMix"] - titles["Mixup"] == 1
    found = bars(axes)
    assert found["mixup mce"][0] == found["mixup dm_ce"][0] == titles["Mixup"]
    assert float(*found["vanilla ce"][1]) == pytest.approx(53.0)


def test_a_figure_of_a_table_without_such_gains_is_refused(grid, runs, monkeypatch):
    monkeypatch.chdir(ROOT)
    forest = grid.params.figures["forest"].model_copy(update={"table": None, "grids": ("cifar100",)})
    monkeypatch.setitem(grid.figures, "forest", forest)
    with pytest.raises(DmixError, match="figure forest needs a table"):
        draw(grid, "forest", runs)
