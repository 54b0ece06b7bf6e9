"""Wrong entries of figures are refused before anything runs, with file, line and way out."""

from __future__ import annotations

import pytest

from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.plot.render import draw
from small_figures import figure_grid, figure_params


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "use: gains, table: table1",
            "use: gains, table: table99",
            r"figures\.forest\.table: no table named 'table99'",
        ),
        ("use: gains, table: table1", "use: gains, table: table1, grids: [eta]", "the table says the grids"),
        ("use: gains, table: table1", "use: gain, table: table1", r"there is no src/dmix/figures/gain\.py"),
        ("use: gains, table: table1", "use: gains, table: table1, rows: 3", "gains.py takes row$"),
        ("grids: [eta], over", "grids: [etas], over", "no grid named 'etas'"),
    ],
)
def test_an_entry_that_names_nothing_is_refused(tmp_path, old, new, message):
    text = figure_params()
    assert text.count(old) == 1
    (tmp_path / "params.yaml").write_text(text.replace(old, new))
    with pytest.raises(DmixError, match=message) as error:
        load_grid("smoke", tmp_path / "params.yaml")
    assert "params.yaml:" in error.value.message


def test_an_unknown_figure_is_refused_with_those_there_are(tmp_path):
    grid = figure_grid(tmp_path)
    with pytest.raises(DmixError, match="there is no figure 'figure9'") as error:
        draw(grid, "figure9", tmp_path)
    assert "swept, kinds, course" in str(error.value)
