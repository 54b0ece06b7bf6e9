"""The style: contrast, markers of one family, lines of objectives."""

from __future__ import annotations

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from dmix.plot.style import BLACK, BROKEN, DOTTED, GREY, LOOKS, SOLID, looks_of, strokes_of, styled
from drawn import contrast_on_white, told_by_color_alone
from project import real_grid

MIXING = (
    "mixup",
    "cutmix",
    "manifoldmix",
    "saliencymix",
    "fmix",
    "resizemix",
    "puzzlemix",
    "automix",
    "samix",
)


def test_contrast_is_that_of_wcag():
    assert contrast_on_white("black") == pytest.approx(21)
    assert contrast_on_white("white") == pytest.approx(1)
    assert contrast_on_white("#767676") == pytest.approx(4.54, abs=0.005)  # WebAIM's checker


@pytest.mark.parametrize("color", sorted({GREY, BLACK, *(look.color for look in LOOKS.values())}))
def test_lines_stand_out_on_white(color):
    assert contrast_on_white(color) >= 3.9


def test_families_differ_in_colour_and_marker():
    families = [look for name, look in LOOKS.items() if name != "static"]
    assert len({look.color for look in families}) == len({look.marker for look in families}) == len(families)


def test_policies_in_shared_axes_have_a_marker_each():
    looks = looks_of(real_grid("smoke").params, MIXING)
    assert list(looks) == list(MIXING)
    assert len({look.marker for look in looks.values()}) == len(MIXING)
    assert looks["mixup"] == LOOKS["interpolation"]


def test_the_last_objective_is_solid_and_the_others_are_broken_and_open():
    params = real_grid("smoke").params
    assert strokes_of(params, ["dm_ce", "mce"]) == {"mce": BROKEN[0], "dm_ce": SOLID}
    three = strokes_of(params, ["mbce_one", "dm_bce", "mbce_two"])
    assert three == {"mbce_one": BROKEN[0], "mbce_two": BROKEN[1], "dm_bce": SOLID}
    strokes = (SOLID, *BROKEN, DOTTED)
    assert len({str(stroke.line) for stroke in strokes}) == len(strokes)


def test_a_users_own_settings_do_not_change_a_figure():
    with mpl.rc_context({"font.family": "monospace", "lines.linewidth": 9.0}), styled():
        assert mpl.rcParams["font.family"] == ["STIXGeneral"]
        assert mpl.rcParams["lines.linewidth"] == 1.1


def test_lines_that_differ_in_colour_alone_are_found():
    axes = Figure().subplots()
    axes.plot([0, 1], [0, 1], color="red", label="one")
    axes.plot([0, 1], [1, 0], color="blue", label="other")
    axes.plot([0, 1], [1, 2], color="green")
    axes.plot([0, 1], [1, 2], color="blue", linestyle="--", label="third")
    found = told_by_color_alone(axes)
    assert found == [("one", "other"), ("one", "_child2"), ("other", "_child2")]
    axes.text(0, 0, "one")
    axes.text(1, 1, "other")
    assert ("one", "other") not in told_by_color_alone(axes)
