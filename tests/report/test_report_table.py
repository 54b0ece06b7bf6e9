"""Rows, columns, statistics, gaps and notes of a table."""

import csv
import io
import math
import re

import pytest

from dmix.errors import DmixError
from dmix.grid.table import Gain
from dmix.report import escape
from dmix.report.caption import notes
from dmix.report.latex import to_latex
from dmix.report.layout import rules, spans
from dmix.report.longform import paper_csv
from dmix.report.numbers import signed
from dmix.report.sheet import paper
from dmix.report.text import to_text


def cell(data, policy, backbone, objective):
    row = [row.key for row in data.rows].index(policy)
    column = [column.keys for column in data.columns].index(("toy100", backbone, objective))
    return data.cells[row][column]


def test_rows_by_kind_in_the_order_of_params(toy):
    data = toy.table(toy.grid)
    assert [row.key for row in data.rows] == ["vanilla", "mix", "cut", "auto", "puzzle"]
    assert rules(data) == ("", "single", "", "double", "")


def test_columns_nest(toy):
    data = toy.table(toy.grid)
    assert [column.keys[1:] for column in data.columns] == [
        ("r18", "mce"),
        ("r18", "dm_ce"),
        ("rx50", "mce"),
        ("rx50", "dm_ce"),
    ]
    assert [(span.start, span.width) for span in spans(data, 0)] == [(0, 4)]
    assert [(span.start, span.width) for span in spans(data, 1)] == [(0, 2), (2, 2)]


def test_mean_and_sample_deviation_in_closed_form(toy):
    # a - d, a, a + d has mean a and sample deviation d; a, b has deviation |a - b| / sqrt(2).
    data = toy.table(toy.grid)
    full = cell(data, "mix", "r18", "mce")
    assert (full.mean, full.std) == (pytest.approx(72.3), pytest.approx(0.2))
    assert (full.n, full.expected, full.state) == (3, 3, "done")
    two = cell(data, "vanilla", "rx50", "mce")
    assert two.std == pytest.approx(0.22 / math.sqrt(2))
    assert (two.n, two.state) == (2, "partial")
    one = cell(data, "cut", "r18", "dm_ce")
    assert (one.mean, one.std, one.n) == (73.5, None, 1)


def test_gain_is_paired_by_seed(toy):
    data = toy.table(toy.grid)
    part = cell(data, "mix", "rx50", "dm_ce")
    assert (part.gain.mean, part.gain.n) == (pytest.approx((-0.5 - 1.0) / 2), 2)
    # Not the difference of the means, 73.5 - 72.302: only seed 0 has both.
    assert cell(data, "cut", "r18", "dm_ce").gain.mean == pytest.approx(73.5 - 72.304)
    assert cell(data, "mix", "r18", "mce").gain is None


def test_gain_over_an_objective_that_another_one_displaced(toy):
    # Vanilla's CE stands in the MCE column; a gain over MCE must not be taken over it.
    specs = [toy.spec_of("mix", "r18", objective, 0) for objective in ("ce", "dm_ce")]
    grid = toy.make_grid(specs)
    toy.write(grid, specs[0], 50.0)
    toy.write(grid, specs[1], 60.0)
    assert cell(toy.table(grid), "mix", "r18", "dm_ce").gain is None


def test_no_gain_asked_for(toy):
    data = toy.table(toy.grid, gain=None)
    assert all(cell.gain is None for row in data.cells for cell in row)
    assert data.gain is None


def test_gain_over_itself_is_zero(toy):
    data = toy.table(toy.grid, gain=Gain(of="mce", over="mce"))
    assert cell(data, "mix", "r18", "mce").gain.mean == 0


def test_vanilla_stands_in_the_column_it_is_placed_in(toy):
    data = toy.table(toy.grid)
    assert cell(data, "vanilla", "r18", "mce").objective == "ce"
    assert cell(data, "vanilla", "r18", "dm_ce").state == "absent"


def test_best_is_by_what_is_printed(toy):
    data = toy.table(toy.grid)
    best = {
        (row.key, column.keys[1:])
        for row, cells in zip(data.rows, data.cells, strict=True)
        for column, cell in zip(data.columns, cells, strict=True)
        if cell.best
    }
    assert best == {
        ("mix", ("r18", "mce")),
        ("cut", ("r18", "mce")),
        ("mix", ("r18", "dm_ce")),
        ("mix", ("rx50", "mce")),
        ("auto", ("rx50", "mce")),
        ("auto", ("rx50", "dm_ce")),
    }


def test_an_invalid_record_is_a_gap_and_named(toy):
    data = toy.table(toy.grid)
    assert cell(data, "cut", "rx50", "mce").mean is None
    assert data.invalid == ("supervised/toy100/rx50/cut/mce/s0",)
    assert "99.99" not in to_text(paper(data)) + to_latex(paper(data)) + paper_csv(data)


def test_many_invalid_records_are_counted(toy):
    for seed in range(3):
        for objective in ("mce", "dm_ce"):
            toy.write(toy.grid, toy.spec_of("mix", "r18", objective, seed), 50.0, seed=9)
    texts = [note.text for note in notes(toy.table(toy.grid))]
    assert any("7 records are invalid" in text and "and 2 more" in text for text in texts)


def test_two_runs_in_one_cell_are_refused(toy):
    specs = [toy.spec_of("mix", "r18", "dm_ce", 0, [("objective.eta", eta)]) for eta in (0.1, 1.0)]
    with pytest.raises(DmixError, match=r"eta=0\.1/s0 and .*eta=1\.0/s0 would stand in one cell"):
        toy.table(toy.make_grid(specs))


def test_real_data_are_not_called_embedded(toy):
    grid = toy.make_grid(toy.specs("real"), "full")
    toy.fill(grid)
    data = toy.table(grid)
    assert data.editions == {"real"}
    assert "embedded" not in to_text(paper(data)) + to_latex(paper(data)) + paper(data).caption("bold")


def test_long_form_round_trips(toy):
    data = toy.table(toy.grid)
    lines = {
        (line["backbone"], line["policy"], line["objective"]): line
        for line in csv.DictReader(io.StringIO(paper_csv(data)))
    }
    assert len(lines) == 18
    for row, cells in zip(data.rows, data.cells, strict=True):
        for shown in cells:
            if shown.state == "absent":
                continue
            line = lines[shown.backbone, row.key, shown.objective]
            for field in ("mean", "std"):
                value = getattr(shown, field)
                assert line[field] == "" if value is None else float(line[field]) == value
            assert (int(line["n"]), line["state"]) == (shown.n, shown.state)


def test_latex_is_balanced_and_rectangular(toy):
    text = to_latex(paper(toy.table(toy.grid)))
    bare = re.sub(r"\\[{}&%$#_]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert sorted(re.findall(r"\\begin{(\w+)}", text)) == sorted(re.findall(r"\\end{(\w+)}", text))
    for line in bare.split(r"\toprule")[1].split(r"\bottomrule")[0].splitlines():
        if line.endswith(r"\\") and "multicolumn" not in line:
            assert line.count("&") == 8 - line.count("dmixnone")


def test_escapes():
    assert escape.latex(r"a\b{c}~^<>|&%$#_") == (
        r"a\textbackslash{}b\{c\}\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}"
        r"\textbar{}\&\%\$\#\_"
    )
    assert escape.latex("3 ± 1 × 2 – x") == r"3 $\pm$ 1 $\times$ 2 -- x"  # noqa: RUF001
    assert escape.latex_row(["*a", "b"]) == r"{}*a & b \\"
    assert escape.markdown("a|b*c_d<e>`[f]") == r"a\|b\*c\_d\<e\>\`\[f\]"


def test_signed_has_no_negative_zero():
    assert [signed(value) for value in (-0.004, 0.0, 0.004, -0.006, 1.5)] == [
        "+0.00",
        "+0.00",
        "+0.00",
        "-0.01",
        "+1.50",
    ]
