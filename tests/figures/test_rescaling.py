"""Figure 4 shows the function of the loss: its points are the closed form, its labels lie on the curves."""

from __future__ import annotations

import pytest

from dmix.figures import rescaling as form
from dmix.grid.figure import FigureEntry
from dmix.objectives import dm_bce
from dmix.plot.source import Source
from dmix.plot.style import styled
from project import real_grid

XI, T = (1.0, 0.8), (0.0, 0.5, 1.0, 2.0)


@pytest.fixture(scope="module")
def drawn():
    entry = FigureEntry(number="4", title="t", use="rescaling")
    with styled():
        yield form.rescaling(Source(real_grid("smoke"), "figure4", entry, None), xi=XI, t=T, points=21)


def closed_form(lam, t, xi):
    return 1.0 if t == 0 or lam >= xi else (lam / xi) ** t


def test_every_point_is_the_closed_form_and_the_losss_own_function(drawn):
    assert form.rescale is dm_bce.rescale
    assert len(drawn.data) == len(XI) * len(T) * 21
    for row in drawn.data.to_dict("records"):
        assert row["r"] == pytest.approx(closed_form(row["lam"], row["t"], row["xi"]), abs=1e-12)


def test_known_values():
    data = form.curves(XI, T, 11).set_index(["xi", "t", "lam"])["r"]
    for (xi, t, lam), r in {
        (1.0, 0.5, 0.0): 0,
        (1.0, 1.0, 0.5): 0.5,
        (1.0, 2.0, 0.5): 0.25,
        (0.8, 1.0, 0.4): 0.5,
        (0.8, 0.5, 0.2): 0.5,
        (0.8, 2.0, 0.9): 1,
        (1.0, 0.0, 0.0): 1,
    }.items():
        near = min((key for key in data.index if key[:2] == (xi, t)), key=lambda key: abs(key[2] - lam))
        assert data[near] == pytest.approx(r, abs=1e-12)


def test_panels_show_the_data_and_a_label_lies_on_each_curve(drawn):
    axes = drawn.figure.axes
    assert [axis.get_title() for axis in axes] == [r"$\xi$ = 1", r"$\xi$ = 0.8"]
    for axis, xi in zip(axes, XI, strict=True):
        curves = [line for line in axis.lines if len(line.get_xdata()) == 21]
        assert (
            len(curves) == len(T) == len({line.get_linestyle() + str(line._dash_pattern) for line in curves})
        )
        labels = [text for text in axis.texts if text.get_text().startswith("t = ")]
        for line, label, t in zip(curves, labels, T, strict=True):
            assert label.get_text() == f"t = {t:g}"
            lam, r = label.xy
            assert 0 < lam < 1
            assert r == pytest.approx(closed_form(lam, t, xi))
            assert line.get_ydata() == pytest.approx([closed_form(x, t, xi) for x in line.get_xdata()])


def test_the_description_has_the_values_at_one_half(drawn):
    assert "xi 1: t 0 gives 1.00, t 0.5 gives 0.71, t 1 gives 0.50, t 2 gives 0.25" in drawn.alt
    assert "xi 0.8: t 0 gives 1.00, t 0.5 gives 0.79" in drawn.alt
