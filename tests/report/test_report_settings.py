"""Columns by a setting: read from the resolved settings, sorted as numbers, titled in every format."""

import pytest
import yaml

from dmix.errors import DmixError
from dmix.grid.schema import validate
from dmix.grid.table import Table
from dmix.grid.yaml_lines import load
from dmix.report.build import render
from dmix.report.latex import title_latex, to_latex
from dmix.report.layout import spans
from dmix.report.markdown import to_markdown
from dmix.report.numbers import shortest
from dmix.report.sheet import paper
from dmix.report.text import to_text


def test_columns_are_sorted_as_numbers_and_share_the_usual_run(toy):
    data = toy.table(toy.sweep(), "sweep")
    assert [column.keys for column in data.columns] == [
        ("mce", ""),
        ("dm_ce", 0.1),
        ("dm_ce", 0.5),
        ("dm_ce", 1.0),
        ("dm_ce", 10.0),
    ]
    assert [(span.title, span.width) for span in spans(data, 0)] == [("MCE", 1), ("DM(CE)", 4)]
    # mix and cut have 0.1 without a variation, auto has 1; every row has a number in both columns.
    assert [[cell.n for cell in row] for row in data.cells] == [[3] * 5, [3] * 5, [3, 3, 3, 3, 0]]


def test_gain_is_over_the_objective_that_has_no_such_setting(toy):
    first, *_ = toy.table(toy.sweep(), "sweep").cells
    assert [cell.gain and cell.gain.mean for cell in first] == [None, 1.0, 1.5, 1.25, -0.25]


def test_gain_is_over_the_column_of_the_same_value(toy):
    specs = [
        toy.spec_of("mix", "r18", objective, 0, [("objective.alpha", alpha)])
        for objective in ("mce", "dm_ce")
        for alpha in (0.2, 2.0)
    ]
    grid = toy.make_grid(specs)
    for spec, score in zip(specs, (50.0, 60.0, 52.0, 65.0), strict=True):
        toy.write(grid, spec, score)
    columns = ("objective.alpha", "objective")
    (row,) = toy.table(grid, columns=columns).cells
    gains = [(cell.mean, cell.gain and cell.gain.mean) for cell in row]
    assert gains == [(50.0, None), (52.0, 2.0), (60.0, None), (65.0, 5.0)]


def test_titles_in_every_format(toy):
    data = paper(toy.table(toy.sweep(), "sweep"))
    header = " & ".join(rf"\multicolumn{{2}}{{c}}{{$\eta = {eta}$}}" for eta in ("0.1", "0.5", "1", "10"))
    assert rf"Policy & \multicolumn{{2}}{{c}}{{--}} & {header} \\" in to_latex(data)
    assert "| MCE<br>– | DM(CE)<br>eta = 0.1 |" in to_markdown(data)  # noqa: RUF001
    assert "eta = 0.5  " in to_text(data)


@pytest.mark.parametrize(
    ("level", "title", "latex"),
    [
        ("objective.eta", "eta = 0.1", r"$\eta = 0.1$"),
        ("objective.xi", "xi = 1", r"$\xi = 1$"),
        ("objective.t", "t = 0.5", "$t = 0.5$"),
        ("policy.alpha", "alpha = 2", r"$\alpha = 2$"),
        ("policy.lam", "lam = 0.5", r"$\lambda = 0.5$"),
        ("policy.mask_weight", "mask_weight = 0.1", r"mask\_weight = 0.1"),
        ("backbone", "eta = 0.1", "eta = 0.1"),
    ],
)
def test_only_settings_with_a_symbol_are_mathematics(level, title, latex):
    assert title_latex(level, title) == latex


def test_values_are_short_and_exact():
    assert [shortest(value) for value in (1.0, 10.0, 0.25, 1e-05, 3, "both")] == [
        "1",
        "10",
        "0.25",
        "1e-05",
        "3",
        "both",
    ]


def test_text_and_lists_are_columns_too(toy):
    values = ["power", [1, 2], 3, 0.5]
    specs = [toy.spec_of("mix", "r18", "dm_ce", 0, [("objective.mode", value)]) for value in values]
    data = toy.table(toy.make_grid(specs), columns=("objective.mode",))
    assert [column.titles for column in data.columns] == [
        ("mode = 0.5",),
        ("mode = 3",),
        ("mode = [1,2]",),
        ("mode = power",),
    ]


def test_a_setting_that_no_run_has(toy):
    with pytest.raises(
        DmixError, match=r"table toy: none of its runs has a setting objective\.etta"
    ) as error:
        toy.table(toy.sweep(), columns=("objective", "objective.etta"))
    assert "tables.toy.columns" in error.value.way_out


def test_no_run_at_all(toy, tmp_path):
    render(toy.make_grid([]), "sweep", toy.root, tmp_path, toy.reference)
    assert (tmp_path / "sweep.txt").read_text().startswith("Table F.")


@pytest.mark.parametrize(
    ("changes", "line", "problem"),
    [
        (
            {"columns": ["dataset", "seed"]},
            6,
            "tables.x.columns.1: 'seed' is no row or column: write method,",
        ),
        ({"columns": ["dataset", "policy"]}, 4, "tables.x.columns: policy is a row or column already"),
        ({"columns": ["dataset", "dataset"]}, 4, "tables.x.columns: dataset is a row or column already"),
        ({"columns": ["objectives.eta"]}, 5, "tables.x.columns.0: 'objectives.eta' is no row or column"),
        ({"columns": ["objective."]}, 5, "tables.x.columns.0: 'objective.' is no row or column"),
        (
            {"columns": ["objective.eta"], "reported": {"table": "T", "settings": ["a"]}},
            6,
            "tables.x.reported: no reported number says its objective.eta",
        ),
        (
            {"columns": ["dataset"], "reported": {"table": "T", "settings": []}},
            8,
            "tables.x.reported.settings: ",
        ),
    ],
)
def test_a_wrong_table_is_named_by_line(tmp_path, changes, line, problem):
    table = {"title": "x", **changes, "grids": ["all"], "number": "1", "rows": "policy"}
    sections = ("datasets", "backbones", "recipes", "policies", "objectives", "methods")
    rest = {"seeds": [0], "tiers": {"full": {"title": "x"}}, "grids": {"all": {}}}
    path = tmp_path / "params.yaml"
    text = yaml.safe_dump({"tables": {"x": table}} | rest | {key: {} for key in sections}, sort_keys=False)
    path.write_text(text)
    with pytest.raises(DmixError) as caught:
        validate(load(path))
    assert caught.value.message.startswith(f"{path}:{line}: {problem}")


def test_a_table_needs_no_reported_numbers():
    table = Table(title="x", number="1", grids=["all"], rows="policy", columns=["dataset", "objective.eta"])
    assert table.reported is None
