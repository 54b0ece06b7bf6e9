"""Any axis or setting may be rows or columns: a table and its transpose show the same."""

import csv
import io
import itertools

import pytest
import yaml

from dmix.errors import DmixError
from dmix.grid.artefact import table_digest
from dmix.grid.axes import AXIS
from dmix.grid.expand import load_grid
from dmix.grid.table import Table
from dmix.report.build import render
from dmix.report.compare import compare
from dmix.report.layout import rules, spans
from dmix.report.longform import paper_csv
from dmix.report.reported import read_reported
from dmix.report.sheet import paper
from dmix.report.text import to_text
from project import ROOT, small_params

NUMBERS = ("mean", "std", "n", "expected", "state", "gain", "editions")


def lay(table, rows, *columns):
    """Return the table with other rows and columns; whatever else it says is checked again."""
    return Table.model_validate({**table.model_dump(), "rows": rows, "columns": columns})


def cells(data):
    """Return what the table shows, by the run that it shows and the settings it is laid out by."""
    found = {}
    for row, line in zip(data.rows, data.cells, strict=True):
        for column, cell in zip(data.columns, line, strict=True):
            if cell.state == "absent":
                continue
            headers = data.headers(row, column)
            settings = tuple((level, headers[level][0]) for level in sorted(headers) if "." in level)
            key = (cell.method, cell.dataset, cell.backbone, cell.policy, cell.objective, settings)
            assert key not in found
            found[key] = {field: getattr(cell, field) for field in NUMBERS}
    return found


def layouts(levels):
    return [tuple(order) for order in itertools.permutations(levels)]


@pytest.fixture
def real(toy):
    grid = toy.make_grid(toy.specs("real"), "full")
    toy.fill(grid)
    return grid


@pytest.mark.parametrize("levels", layouts(["policy", "backbone", "objective"]))
def test_every_order_of_axes_has_the_same_cells_gains_and_comparison(toy, real, levels):
    table = real.params.tables["toy"]
    published = read_reported(toy.reference / "reported.csv", table.reported)
    usual = toy.table(real, published=published)
    turned = toy.table(real, published=published, **dict(lay(table, *levels)))
    assert any(cell["gain"] for cell in cells(usual).values())
    assert cells(turned) == cells(usual)
    comparison = compare(turned, real.params)
    assert any(row.verdict == "above" for row in comparison)
    assert sorted(map(repr, comparison)) == sorted(map(repr, compare(usual, real.params)))


def test_rows_by_backbone_in_closed_form(toy, real):
    data = toy.table(real, **dict(lay(real.params.tables["toy"], "backbone", "policy", "objective")))
    assert [row.title for row in data.rows] == ["ResNet-18", "ResNeXt-50 (32x4d)"]
    # Policies by kind, in the order of params.yaml; Vanilla's CE is placed in the column of MCE.
    assert [column.keys for column in data.columns] == [
        ("vanilla", "mce"),
        *itertools.product(("mix", "cut", "auto", "puzzle"), ("mce", "dm_ce")),
    ]
    assert [(span.title, span.width) for span in spans(data, 0)][:2] == [("Vanilla", 1), ("Mix_up & Co", 2)]
    assert rules(data) == ("", "")
    first, *_ = data.cells
    assert [cell.mean for cell in first][:3] == [71.0, pytest.approx(72.3), 74.0]
    assert [cell.gain and cell.gain.mean for cell in first][:3] == [
        None,
        None,
        pytest.approx((2.0 + 1.7 + 1.4) / 3),
    ]


def test_rows_by_objective_show_the_gain_in_the_row(toy, real):
    data = toy.table(real, **dict(lay(real.params.tables["toy"], "objective", "backbone", "policy")))
    assert [row.title for row in data.rows] == ["MCE", "DM(CE)"]
    placed, mixed = data.cells
    assert placed[0].objective == "ce"
    assert mixed[0].state == "absent"
    assert [cell.gain is None for cell in placed] == [True] * len(placed)
    assert mixed[1].gain.mean == pytest.approx((2.0 + 1.7 + 1.4) / 3)


def test_the_best_is_of_what_competes(toy, real):
    table = real.params.tables["toy"]
    turned = toy.table(real, **dict(lay(table, "backbone", "policy", "objective")))
    best = [[cell.mean for cell in row if cell.best] for row in turned.cells]
    assert best == [[74.0], [pytest.approx(77.1)]]
    assert "The best mean of each row is bold." in paper(turned).caption("bold")
    both = toy.table(real, **dict(lay(table, "dataset", "backbone", "policy", "objective")))
    assert [cell.mean for cell in both.cells[0] if cell.best] == [74.0, pytest.approx(77.1)]
    assert "The best mean of each row and backbone is bold." in paper(both).caption("bold")
    assert "The best mean of each column is bold." in paper(toy.table(real)).caption("bold")


@pytest.mark.parametrize("levels", layouts(["policy", "objective.eta", "objective"]))
def test_a_setting_may_be_rows_and_its_gain_is_over_the_row_without_it(toy, levels):
    grid = toy.sweep()
    data = toy.table(grid, "sweep", **dict(lay(grid.params.tables["sweep"], *levels)))
    assert cells(data) == cells(toy.table(grid, "sweep"))


def test_gain_prefers_the_cell_of_the_same_value(toy):
    # MCE without the setting, and with it: the latter has the value of DM's.
    specs = [
        toy.spec_of("mix", "r18", "mce", 0),
        toy.spec_of("mix", "r18", "mce", 0, [("objective.alpha", 2.0)]),
        toy.spec_of("mix", "r18", "dm_ce", 0, [("objective.alpha", 2.0)]),
    ]
    grid = toy.make_grid(specs)
    for spec, score in zip(specs, (50.0, 55.0, 58.0), strict=True):
        toy.write(grid, spec, score)
    for chosen, gain in ((specs, 3.0), (specs[::-1], 3.0), (specs[::2], 8.0)):
        grid = toy.make_grid(chosen)
        for levels in layouts(["objective.alpha", "objective"]):
            table = lay(grid.params.tables["sweep"], *levels)
            found = cells(toy.table(grid, "sweep", **dict(table)))
            assert [cell["gain"].mean for cell in found.values() if cell["gain"] is not None] == [gain]


def test_rows_by_recipe_are_called_by_its_name(toy, real):
    data = toy.table(
        real, **dict(lay(real.params.tables["sweep"], "recipe", "policy", "backbone", "objective"))
    )
    assert [row.title for row in data.rows] == ["toy"]
    assert "Recipe" in to_text(paper(data))
    (line, *_) = csv.DictReader(io.StringIO(paper_csv(data)))
    assert (line["recipe"], line["method"]) == ("toy", "supervised")


def test_runs_that_differ_in_more_than_the_seed_never_share_a_cell(toy):
    specs = [toy.spec_of("mix", "r18", "mce", 0), toy.spec_of("cut", "r18", "mce", 1)]
    grid = toy.make_grid(specs)
    with pytest.raises(DmixError, match=r"/mix/mce/s0 and .*/cut/mce/s1 would stand in one cell"):
        toy.table(grid, **dict(lay(grid.params.tables["toy"], "backbone", "objective")))


@pytest.mark.parametrize("axis", AXIS)
def test_every_axis_is_rows_or_columns(axis):
    other = "dataset" if axis != "dataset" else "backbone"
    for rows, column in ((axis, other), (other, axis)):
        table = Table(title="x", number="1", grids=["all"], rows=rows, columns=[column])
        assert table.levels == (rows, column)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rows": "dataset", "place": {"ce": "mce"}}, "place: no row or column is the objective"),
        (
            {"rows": "dataset", "gain": {"of": "dm_ce", "over": "mce"}},
            "gain: no row or column tells add-ons or objectives apart",
        ),
        (
            {"rows": "method", "columns": ["objective"], "losses": True},
            "losses: only rows by method with add-on",
        ),
        (
            {"rows": "recipe", "reported": {"table": "T", "settings": ["a"]}},
            "reported: no reported number says its recipe",
        ),
        (
            {"rows": "method", "columns": ["objective"], "reported": {"table": "T", "settings": ["a"]}},
            "reported: reported numbers name a method together with what is added to it",
        ),
        (
            {"rows": "method", "reported": {"table": "T", "settings": ["a"]}},
            "reported: sources name runs of supervised (grid cifar10_vanilla) by their policy",
        ),
    ],
)
def test_what_a_layout_cannot_show_is_refused_by_line(tmp_path, changes, problem):
    table = {"title": "x", "number": "1", "grids": ["cifar10_vanilla"], "columns": ["backbone"], **changes}
    path = tmp_path / "params.yaml"
    path.write_text(
        f"{small_params()}\n  x:\n"
        + "".join(
            f"    {line}\n"
            for line in yaml.safe_dump(table, sort_keys=False, default_flow_style=None).splitlines()
        )
    )
    with pytest.raises(DmixError) as caught:
        load_grid("embedded", path)
    place, _, message = caught.value.message.partition(": tables.x.")
    assert message.startswith(problem)
    line = path.read_text().splitlines()[int(place.rpartition(":")[2]) - 1]
    assert line.strip().startswith(problem.partition(":")[0])


def test_a_table_by_backbone_and_its_transpose_are_entries_of_params_alone(tmp_path, monkeypatch):
    written = """
  {name}:
    {{number: X, title: by {rows}, grids: [cifar100_vanilla, cifar100], rows: {rows}, columns: [{columns}],
     place: {{ce: mce}}, gain: {{of: dm_ce, over: mce}},
     reported: {{table: Table 1, settings: [epochs=800]}}}}
"""
    text = small_params() + written.format(name="one", rows="backbone", columns="policy, objective")
    (tmp_path / "params.yaml").write_text(
        text + written.format(name="two", rows="policy", columns="backbone, objective")
    )
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    grid = load_grid("full")
    lines = {}
    for name in ("one", "two"):
        render(grid, name, tmp_path / "runs", tmp_path / "out")
        comparison = (tmp_path / "out" / f"{name}_comparison.csv").read_text().splitlines()
        long = (tmp_path / "out" / f"{name}.csv").read_text()
        fields = csv.DictReader(io.StringIO(long)).fieldnames
        shared = [field for field in fields if field != "method"]
        cells = sorted(tuple(line[key] for key in shared) for line in csv.DictReader(io.StringIO(long)))
        lines[name] = (comparison[0], sorted(comparison[1:]), cells)
    assert lines["one"] == lines["two"]
    header, compared, _ = lines["one"]
    assert header.startswith("dataset,backbone,policy,objective,mean,")
    assert any(line.startswith("CIFAR-100,ResNet-18,Mixup,MCE,,,0,79.12,,OpenMixup") for line in compared)


def test_a_table_follows_the_order_of_entries(tmp_path):
    path = tmp_path / "params.yaml"
    mixup = next(line for line in small_params().splitlines() if line.startswith("  mixup: "))
    digests = []
    for text in (
        small_params(),
        small_params().replace(f"{mixup}\n", "").replace("policies:\n", f"policies:\n{mixup}\n"),
    ):
        path.write_text(text)
        digests.append(table_digest(load_grid("full", path), "table1"))
    assert len(set(digests)) == 2
