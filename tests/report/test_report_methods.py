"""Tables whose rows are methods or the values of a setting, of a grid with made-up entries."""

import csv
import io
import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from dmix.errors import DmixError
from dmix.grid.artefact import table_digest
from dmix.grid.cell import Cell
from dmix.grid.includes import read_params
from dmix.grid.references import check_references
from dmix.grid.schema import AddonEntry, validate
from dmix.grid.spec import RunSpec
from dmix.grid.table import Gain, Labels, Reported, Table
from dmix.grid.yaml_lines import load
from dmix.report.build import render
from dmix.report.caption import notes as notes_of
from dmix.report.columns import Column
from dmix.report.compare import compare
from dmix.report.compare_files import to_csv as comparison_csv
from dmix.report.frame import load_frame
from dmix.report.latex import title_latex, to_latex
from dmix.report.layout import rules
from dmix.report.levels import heading, settings_of
from dmix.report.longform import paper_csv
from dmix.report.markdown import to_markdown
from dmix.report.numbers import GAP
from dmix.report.reported import HEADER, read_reported
from dmix.report.sheet import paper
from dmix.report.table import build_table
from dmix.report.text import to_text
from paper import TABLES

REFERENCE = Path(__file__).parents[2] / "reference"
PARAMS = """\
seeds: [0, 1, 2]
tiers:
  full: {title: full scale}
datasets:
  birds: {title: Birds_200}
  far: {title: Far-5}
backbones:
  r50: {title: ResNet-50, forward_gflop: {32: 1.0}}
recipes:
  toy: {}
policies:
  vanilla: {title: Vanilla, kind: none, family: none}
  mix: {title: Mixup, kind: static, family: interpolation}
  cut: {title: CutMix, kind: static, family: cutting}
objectives:
  mce: {title: MCE, group: softmax}
  ce: {title: CE, group: clean}
  dm_ce: {title: DM(CE), group: softmax}
methods:
  fine: {title: Fine_Tuning, task: transfer, losses: [CE]}
  bss: {title: BSS, task: transfer, losses: [CE, sigma_min]}
  self: {title: Self-Tuning, task: transfer, losses: [CE, PGC]}
addons:
  none: {title: "", policy: vanilla, objective: ce}
  mix: {title: +Mixup, policy: mix, objective: mce, use: toy_addon}
  dm: {base: mix, title: +DM, objective: dm_ce}
grids:
  bare: {method: [fine, bss, self], dataset: birds, backbone: r50, addon: none}
  mixed: {method: [fine, self], dataset: birds, backbone: r50, addon: dm}
tables:
  methods:
    number: "6"
    title: Top-1 accuracy (%) of transfer learning
    grids: [bare, mixed]
    rows: method
    columns: [dataset, labels.percent]
    column_titles: {labels.percent: "{} %"}
    gain: {of: dm, over: none}
    reported: {table: Table M, settings: [steps=9], labels: {setting: labels.percent, format: "{}%"}}
  rules:
    number: "8"
    title: Top-1 accuracy (%) by the rule
    grids: [bare, mixed]
    rows: addon.rule
    columns: [labels.percent, objective]
    row_titles: {"": Self_Tuning, free: no asymmetry}
    place: {ce: mce}
    gain: {of: dm_ce, over: mce}
"""
REPORTED = """\
Table M,Birds_200,ResNet-50,steps=9,Fine_Tuning,none,15%,top1,45.00,0.30,paper,
Table M,Birds_200,ResNet-50,steps=9,Fine_Tuning +DM,DM(CE)+AS,15%,top1,50.00,,paper,
Table M,Birds_200,ResNet-50,steps=9,Fine_Tuning +DM,DM(CE)+AS,15%,text_gain_max,9.00,,paper,
Table M,Birds_200,ResNet-50,steps=9,Fine_Tuning +DM,DM(CE)+AS,5%,top1,1.00,,paper,
Table M,Birds_200,ResNet-50,steps=9,BSS,none,30%,top1,60.00,0.20,paper,
Table M,Birds_200,ResNet-50,steps=9,BSS,none,,top1,2.00,,paper,
Table M,Birds_200,ResNet-50,steps=7,BSS,none,15%,top1,3.00,,paper,
Table M,Birds_200,ResNet-50,steps=9,Self-Tuning +Mixup,MCE,30%,top1,74.00,0.10,paper,
"""
SUFFIXES = (
    *(".tex", ".csv", ".md", ".txt", "_body.tex", "_beside.tex", "_beside.csv", "_beside.md", "_beside.txt"),
    *("_comparison.csv", "_comparison.md", "_comparison.tex", "_numbers.tex"),
)
ADDONS = {"ce": "none", "mce": "mix", "dm_ce": "dm"}
OF_POLICY = {"ce": "vanilla", "mce": "mix", "dm_ce": "mix"}

# method, objective -> scores by seed at 15 and at 30 percent; None is no record.
SCORES = {
    ("self", "dm_ce"): ((65.0, 66.5, 67.0), (76.0, None, 76.5)),  # partial
    ("self", "ce"): ((64.0, 64.5, 66.0), (75.0, 70.0, 75.25)),
    ("self", "mce"): ((62.0, 62.5, 62.25), (74.0, 74.5, 74.25)),
    ("bss", "ce"): ((47.0, 47.5, 48.0), (None, None, None)),
    ("fine", "ce"): ((45.0, 45.25, 45.5), (59.0, 59.5, 60.0)),
    ("fine", "dm_ce"): ((50.0, 50.5, 49.75), (61.0, 59.25, 61.5)),
}
# rule, objective -> the same; the bare host has no rule and stands under its method.
RULES = {
    ("strict", "dm_ce"): ((66.0, 66.5), (77.0, 77.5)),
    ("strict", "mce"): ((63.0, 62.5), (74.0, 74.5)),
    ("free", "mce"): ((62.0, 62.5), (73.0, 73.5)),
    ("free", "dm_ce"): ((61.0, 63.5), (73.0, None)),
    ("self", "ce"): ((64.0, 64.5), (75.0, 75.5)),
}


def spec_of(method, objective, percent, seed, rule=None, policy=None, dataset="birds"):
    policy = policy or OF_POLICY[objective]
    settings = {
        "dataset": {"use": "toy_data", "edition": "real"},
        "labels": {"use": "toy_share", "percent": percent},
        "backbone": {"use": "toy_r50"},
        "recipe": {"steps": 9, "score": "median_last10"},
        "policy": {"use": f"toy_{policy}"},
        "objective": {"use": f"toy_{objective}"},
        "method": {"use": f"toy_{method}"},
        # As runs that do without the part have it.
        "addon": {"use": "toy_addon", "rule": rule} if rule else {},
    }
    axes = {"method": method, "dataset": dataset, "backbone": "r50", "policy": policy, "objective": objective}
    axes["addon"] = ADDONS[objective]
    variation = (("labels.percent", percent), *((("addon.rule", rule),) if rule else ()))
    return RunSpec("transfer", axes, settings, variation, {}, seed)


def method_specs(dataset="birds"):
    for (method, objective), percent, seed in itertools.product(SCORES, (30, 15), range(3)):
        yield spec_of(method, objective, percent, seed, dataset=dataset)


def rule_specs():
    for (rule, objective), percent, seed in itertools.product(RULES, (30, 15), range(2)):
        yield spec_of("self", objective, percent, seed, None if rule == "self" else rule)


@pytest.fixture
def made(toy, tmp_path):
    """Grids of these parameters with their records, and the means to make others."""
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS)
    document = load(path)
    params = validate(document)
    reference = tmp_path / "reference"
    reference.mkdir()
    (reference / "reported.csv").write_text(f"{','.join(HEADER)}\n{REPORTED}")
    (reference / "deviations.csv").write_text("id,scope,paper,ours,reason,where,short\nz,method=bss,,,,,\n")

    def grid_of(specs):
        runs = {spec.name: spec for spec in specs}
        cells = {name: Cell(spec.axes, "toy", spec.variation, ()) for name, spec in runs.items()}
        grids = {"bare": tuple(runs), "mixed": ()}
        return type(toy.grid)("full", params, document, runs, grids, None, cells)

    def fill(grid, scores):
        for spec in grid.runs.values():
            row = spec.settings["addon"].get("rule", spec.axes["method"])
            score = scores[row, spec.axes["objective"]][spec.settings["labels"]["percent"] // 15 - 1][
                spec.seed
            ]
            if score is not None and grid.blocked(spec.name) is None:
                toy.write(grid, spec, score)
        return grid

    def table(grid, name="methods", published=None, **changes):
        entry = grid.params.tables[name].model_copy(update=changes)
        frame = load_frame(grid, tuple(grid.runs), toy.root, settings_of(entry))
        return build_table(name, frame, entry, grid.params, grid.tier, reported=published)

    def rendered(grid, name):
        render(grid, name, toy.root, tmp_path / "out", reference)
        return {suffix: (tmp_path / "out" / f"{name}{suffix}").read_text() for suffix in SUFFIXES}

    return SimpleNamespace(
        grid=grid_of,
        methods=lambda: fill(grid_of(method_specs()), SCORES),
        rules=lambda: fill(grid_of(rule_specs()), RULES),
        fill=fill,
        write=toy.write,
        table=table,
        rendered=rendered,
        reported=reference / "reported.csv",
        expected=toy.expected,
    )


def notes(data):
    return tuple(note.text for note in notes_of(data))


def row_of(data, title):
    return data.cells[[row.title for row in data.rows].index(title)]


@pytest.mark.parametrize("name", ["methods", "rules"])
def test_golden(made, name):
    grid = made.methods() if name == "methods" else made.rules()
    for suffix, text in made.rendered(grid, name).items():
        assert text == (made.expected / f"{name}{suffix}").read_text(), suffix


@pytest.fixture
def told(made):
    """The methods' grid, in which a table "losses" is theirs with the loss terms and with rows of gains."""
    grid = made.methods()
    changes = {"losses": True, "gain": Gain(of="dm", over="none", rows=True)}
    tables = {"losses": grid.params.tables["methods"].model_copy(update=changes)}
    return replace(grid, params=grid.params.model_copy(update={"tables": {**grid.params.tables, **tables}}))


def test_golden_of_loss_terms(made, told):
    for suffix, text in made.rendered(told, "losses").items():
        # A comparison has neither, and quotes the same.
        name = f"methods{suffix}" if "comparison" in suffix or "numbers" in suffix else f"losses{suffix}"
        text = text.replace("{losses/", "{methods/")
        assert text == (made.expected / name).read_text(), name


def test_loss_terms_are_the_methods_and_the_title_of_a_mixed_objective(made, told):
    data = made.table(told, "losses")
    assert [(row.title, row.losses) for row in data.rows] == [
        ("Fine_Tuning", "CE"),
        ("Fine_Tuning +DM", "CE + DM(CE)"),
        ("BSS", "CE + sigma_min"),
        ("Self-Tuning", "CE + PGC"),
        ("Self-Tuning +Mixup", "CE + PGC + MCE"),
        ("Self-Tuning +DM", "CE + PGC + DM(CE)"),
    ]
    assert {row.losses for row in made.table(told).rows} == {""}


def test_the_methods_of_the_repository_have_loss_terms_where_they_are_shown():
    params = validate(read_params(REFERENCE.parent / "params.yaml"))
    assert [name for name in TABLES if params.tables[name].losses] == ["table7"]
    found = {name: entry.losses for name, entry in params.methods.items() if entry.task == "semi"}
    assert [name for name, losses in found.items() if losses[:1] != ("CE",)] == []


def test_loss_terms_stand_in_every_panel_of_a_wide_table(made, told):
    data = made.table(told, "losses")
    title = "a title of some forty characters or more"
    columns = tuple(Column(("birds", place), ("Birds_200", title)) for place in range(4))
    sheet = paper(data)
    lines = tuple(replace(line, numbers=line.numbers[:1] * 4) for line in sheet.lines)
    wide = replace(sheet, columns=columns, lines=lines)
    lines = [line.rstrip() for line in to_text(wide).splitlines()]
    headings = [line for line in lines if line.startswith("Method ")]
    assert len(headings) > 1
    assert all(line.split()[:2] == ["Method", "Losses"] for line in headings)
    assert sum("CE + PGC + MCE" in line for line in lines) == len(headings)


def test_a_table_follows_the_loss_terms(told):
    told = replace(told, resolver=SimpleNamespace(seeds=(0, 1, 2)))
    fine = told.params.methods["fine"].model_copy(update={"losses": ("CE", "more")})
    methods = {**told.params.methods, "fine": fine}
    other = replace(told, params=told.params.model_copy(update={"methods": methods}))
    assert table_digest(other, "losses") != table_digest(told, "losses")


def test_rows_by_method_in_the_order_of_params_the_bare_one_first(made):
    data = made.table(made.methods())
    # In `params.yaml` MCE stands before CE.
    assert [row.title for row in data.rows] == [
        "Fine_Tuning",
        "Fine_Tuning +DM",
        "BSS",
        "Self-Tuning",
        "Self-Tuning +Mixup",
        "Self-Tuning +DM",
    ]
    assert [row.key for row in data.rows][:2] == [("fine", "none"), ("fine", "dm")]
    assert rules(data) == ("", "", "single", "single", "", "")
    assert [column.titles for column in data.columns] == [("Birds_200", "15 %"), ("Birds_200", "30 %")]


def test_gain_by_method_is_over_the_other_row_and_paired_by_seed(made):
    data = made.table(made.methods())
    fine, own = row_of(data, "Fine_Tuning +DM"), row_of(data, "Self-Tuning +DM")
    means = [pytest.approx((5.0 + 5.25 + 4.25) / 3), pytest.approx(3.25 / 3)]
    assert [cell.gain.mean for cell in fine] == means
    # Seed 1 has no record with DM; the bare method's 70.0 is left out.
    assert (own[1].gain.mean, own[1].gain.n) == (pytest.approx((1.0 + 1.25) / 2), 2)
    others = [row_of(data, title) for title in ("Fine_Tuning", "BSS", "Self-Tuning", "Self-Tuning +Mixup")]
    assert {cell.gain for row in others for cell in row} == {None}


def test_gain_may_be_over_another_addition(made):
    data = made.table(made.methods(), gain=Gain(of="dm", over="mix"))
    assert row_of(data, "Self-Tuning +DM")[0].gain.mean == pytest.approx((3.0 + 4.0 + 4.75) / 3)
    assert row_of(data, "Fine_Tuning +DM")[0].gain is None
    assert data.gain == ("+DM", "+Mixup")


def test_the_caption_names_the_bare_method(made):
    gain = Gain(of="dm", over="none", rows=True)
    words = paper(made.table(made.methods(), gain=gain)).caption("bold")
    assert "Gain: of +DM over the bare method, paired by seed, ± standard error." in words


def test_rows_by_a_setting(made):
    data = made.table(made.rules(), "rules")
    # The bare host first, then values in the order of row_titles, then the others.
    assert [(row.key, row.title) for row in data.rows] == [
        ("", "Self_Tuning"),
        ("free", "no asymmetry"),
        ("strict", "rule = strict"),
    ]
    assert rules(data) == ("", "single", "")
    assert [column.titles for column in data.columns] == [
        ("percent = 15", "MCE"),
        ("percent = 15", "DM(CE)"),
        ("percent = 30", "MCE"),
        ("percent = 30", "DM(CE)"),
    ]
    assert [cell.objective for cell in data.cells[0]] == ["ce", "", "ce", ""]


def test_rows_without_titles_are_in_the_order_of_their_values(made):
    rules_of = ("strict", None, 10, "free", 2.0)
    specs = [spec_of("self", "mce", 15, 0, rule) for rule in rules_of]
    data = made.table(made.grid(specs), "rules", row_titles={})
    assert [row.title for row in data.rows] == [
        "none",
        "rule = 2",
        "rule = 10",
        "rule = free",
        "rule = strict",
    ]


def test_gain_by_setting_is_within_the_row(made):
    data = made.table(made.rules(), "rules")
    gains = [[cell.gain and (cell.gain.mean, cell.gain.n) for cell in row] for row in data.cells]
    nothing = None
    assert gains == [
        [nothing] * 4,
        [nothing, (0.0, 2), nothing, (0.0, 1)],
        [nothing, (3.5, 2), nothing, (3.0, 2)],
    ]
    assert data.gain == ("DM(CE)", "MCE")


def test_no_gain_over_the_bare_host_that_stands_in_the_column(made):
    specs = [spec_of("self", "ce", 15, 0), spec_of("self", "dm_ce", 15, 0)]
    grid = made.grid([*specs, spec_of("self", "mce", 15, 0, "free")])
    for spec, score in zip(specs, (50.0, 60.0), strict=True):
        made.write(grid, spec, score)
    assert [cell.gain for cell in row_of(made.table(grid, "rules"), "Self_Tuning")] == [None, None]


def shown(data):
    """Return the cells that exist, whatever is best among which others."""
    return sorted(
        repr(replace(cell, best=False)) for row in data.cells for cell in row if cell.state != "absent"
    )


def told_apart(rows):
    """Return comparisons in one order, each without the titles of its settings, which a header words."""
    return sorted(
        repr(replace(row, settings={level: key for level, (key, _) in row.settings.items()})) for row in rows
    )


@pytest.mark.parametrize("levels", [*itertools.permutations(["method", "dataset", "labels.percent"])])
def test_every_order_of_levels_has_the_same_cells_gains_and_comparison(made, levels):
    grid, (rows, *columns) = made.methods(), levels
    published = read_reported(made.reported, wanted(), "method")
    entry = grid.params.tables["methods"]
    titles = {} if rows == "labels.percent" else entry.column_titles
    turned = Table.model_validate(
        {**entry.model_dump(), "rows": rows, "columns": columns, "column_titles": titles}
    )
    usual, data = (
        made.table(grid, published=published),
        made.table(grid, published=published, **dict(turned)),
    )
    assert shown(data) == shown(usual)
    comparisons = [compare(each, grid.params) for each in (usual, data)]
    assert sum(row.reported is not None for row in comparisons[1]) == 4
    assert told_apart(comparisons[0]) == told_apart(comparisons[1])
    titles = [
        title
        for row in data.rows
        for column in data.columns
        for _, title in [data.headers(row, column)["method"]]
    ]
    assert titles[-1] == "Self-Tuning +DM"
    assert data.gain == ("+DM", "the bare method")


@pytest.mark.parametrize("levels", [*itertools.permutations(["method", "objective", "labels.percent"])])
def test_methods_beside_their_objective(made, levels):
    grid, (rows, *columns) = made.methods(), levels
    changes = {"rows": rows, "columns": columns, "column_titles": {}, "gain": {"of": "dm_ce", "over": "ce"}}
    entry = grid.params.tables["methods"].model_dump() | {"reported": None}
    data = made.table(grid, **dict(Table.model_validate({**entry, **changes})))
    assert shown(data) == shown(made.table(grid))
    assert data.gain == ("DM(CE)", "CE")
    # A rule separates methods only where several rows are of one method.
    assert set(rules(data)) == {""}


@pytest.mark.parametrize(
    "levels",
    [
        *itertools.permutations(["method", "addon", "labels.percent"]),
        ("addon", "method", "labels.percent", "objective", "policy"),
    ],
)
def test_methods_beside_their_add_on(made, levels):
    grid, (rows, *columns) = made.methods(), levels
    changes = {"rows": rows, "columns": columns, "column_titles": {}}
    entry = grid.params.tables["methods"].model_dump() | {"reported": None}
    data = made.table(grid, **dict(Table.model_validate({**entry, **changes})))
    assert shown(data) == shown(made.table(grid))
    assert data.gain == ("+DM", "the bare method")
    titles = [data.headers(row, column)["addon"] for row in data.rows for column in data.columns]
    assert set(titles) == {("none", "none"), ("mix", "+Mixup"), ("dm", "+DM")}


def test_runs_without_an_add_on_are_a_gap_beside_those_with_one(made):
    specs = [spec_of("self", "dm_ce", 15, 0), spec_of("fine", "ce", 15, 0)]
    del specs[1].axes["addon"]
    data = made.table(made.grid(specs), rows="addon", columns=("method",), column_titles={})
    assert [(row.key, row.title) for row in data.rows] == [("", GAP), ("dm", "+DM")]


@pytest.mark.parametrize("levels", [*itertools.permutations(["addon.rule", "labels.percent", "objective"])])
def test_every_order_of_settings_has_the_same_cells_and_gains(made, levels):
    grid, (rows, *columns) = made.rules(), levels
    entry = {**grid.params.tables["rules"].model_dump(), "rows": rows, "columns": columns, "row_titles": {}}
    data = made.table(grid, "rules", **dict(Table.model_validate(entry)))
    assert shown(data) == shown(made.table(grid, "rules"))


def test_two_policies_in_one_cell_are_refused(made):
    specs = [spec_of("self", "mce", 15, 0, "free", policy) for policy in ("mix", "cut")]
    with pytest.raises(DmixError, match=r"/mix/.*/cut/.* would stand in one cell"):
        made.table(made.grid(specs), "rules")


def test_two_add_ons_of_one_objective_are_two_rows(made):
    specs = [spec_of("self", "mce", 15, 0, "free", policy) for policy in ("mix", "cut")]
    specs[1].axes["addon"] = "cut"
    grid = made.grid(specs)
    cut = AddonEntry(title="+CutMix", policy="cut", objective="mce", use="toy_addon")
    params = grid.params.model_copy(update={"addons": {**grid.params.addons, "cut": cut}})
    data = made.table(replace(grid, params=params), "methods")
    assert [row.title for row in data.rows] == ["Self-Tuning +Mixup", "Self-Tuning +CutMix"]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"rows": "addon.rul"}, "rows"),
        ({"columns": ("labels.percents",)}, "columns"),
    ],
)
def test_a_setting_that_no_run_has(made, changes, key):
    with pytest.raises(DmixError, match="table rules: none of its runs has a setting") as error:
        made.table(made.rules(), "rules", **changes)
    assert f"tables.rules.{key};" in error.value.way_out


def test_no_run_at_all(made):
    for name in ("methods", "rules"):
        assert made.rendered(made.grid([]), name)[".txt"].startswith("Table ")


def test_gaps_are_named_by_row(made):
    data = made.table(made.methods())
    assert notes(data) == (
        "[n=k]: k seeds in place of 3.",
        "1 cell without a record: BSS (30 %).",
    )
    grid = made.grid(list(method_specs("far")))
    gone = "Fine_Tuning, Fine_Tuning +DM, BSS, Self-Tuning, Self-Tuning +Mixup, Self-Tuning +DM"
    assert notes(made.table(grid)) == (f"12 cells blocked (dmix data fetch far): {gone}.",)
    both = made.fill(made.grid([*method_specs(), *method_specs("far")]), SCORES)
    assert notes(made.table(both))[1:] == (
        "1 cell without a record: BSS (Birds_200 30 %).",
        "12 cells blocked (dmix data fetch far): Far-5.",
    )


def test_headings_in_every_format(made):
    assert [heading(rows) for rows in ("policy", "method", "addon.rule", "policy.mask_weight")] == [
        "Policy",
        "Method",
        "Addon rule",
        "Policy mask weight",
    ]
    for form in (to_latex, to_markdown, to_text):
        assert "Method" in form(paper(made.table(made.methods())))
        assert "Addon rule" in form(paper(made.table(made.rules(), "rules")))


def test_titles_are_literal_in_latex(made):
    text = to_latex(paper(made.table(made.methods())))
    assert r"Method & \multicolumn{2}{c}{15 \%} & \multicolumn{2}{c}{30 \%} \\" in text
    assert "\nFine\\_Tuning +DM & " in text
    text = to_latex(paper(made.table(made.rules(), "rules", row_titles={"": "*_", "free": "50% & [x]"})))
    assert "\n{}*\\_ & " in text
    assert "\n50\\% \\& [x] & " in text


@pytest.mark.parametrize("title", ["eta = 0.1 (ours)", "eta = ", "eta = a_b", "{} %"])
def test_only_a_symbol_and_its_number_are_mathematics(title):
    assert "$" not in title_latex("objective.eta", title)


def test_a_row_by_a_setting_has_its_symbol(made):
    assert title_latex("objective.eta", "eta = 1e-05") == r"$\eta = 1e-05$"
    for rows in ("policy", "method"):
        assert title_latex(rows, "eta = 1") == "eta = 1"


@pytest.mark.parametrize("name", ["methods", "rules"])
def test_long_form_names_every_run(made, name):
    grid = made.methods() if name == "methods" else made.rules()
    lines = list(csv.DictReader(io.StringIO(paper_csv(made.table(grid, name)))))
    keys = ("method", "dataset", "backbone", "policy", "objective")
    found = {
        (*(line[key] for key in keys), line["labels.percent"], line.get("addon.rule", "")) for line in lines
    }
    assert found == {
        (
            *(spec.axes[key] for key in keys),
            str(spec.settings["labels"]["percent"]),
            spec.settings["addon"].get("rule", ""),
        )
        for spec in grid.runs.values()
    }
    assert len(lines) == len(found)


def wanted(labels=True):
    told = Labels(setting="labels.percent", format="{}%") if labels else None
    return Reported(table="Table M", settings=["steps=9"], labels=told)


def test_numbers_of_a_part_of_the_labels_are_keyed_by_it(made):
    found = read_reported(made.reported, wanted(), "method")
    assert {key: [number.value for number in numbers] for key, numbers in found.items()} == {
        ("Birds_200", "ResNet-50", "Fine_Tuning", "15%"): [45.0],
        ("Birds_200", "ResNet-50", "Fine_Tuning +DM", "15%"): [50.0],
        ("Birds_200", "ResNet-50", "Fine_Tuning +DM", "5%"): [1.0],
        ("Birds_200", "ResNet-50", "BSS", "30%"): [60.0],
        ("Birds_200", "ResNet-50", "Self-Tuning +Mixup", "30%"): [74.0],
    }
    assert [*read_reported(made.reported, wanted(labels=False), "method")] == [
        ("Birds_200", "ResNet-50", "BSS")
    ]
    assert [*read_reported(made.reported, wanted(labels=False))] == [
        ("Birds_200", "ResNet-50", "BSS", "none")
    ]
    assert ("Birds_200", "ResNet-50", "BSS", "none", "30%") in read_reported(made.reported, wanted())


def test_each_number_stands_beside_its_cell(made):
    grid = made.methods()
    data = made.table(grid, published=read_reported(made.reported, wanted(), "method"))
    found = compare(data, grid.params)
    assert len(found) == 12
    beside = {
        (row.row, row.settings["labels.percent"]): (row.mean, row.reported, row.reported_gain)
        for row in found
        if row.reported is not None
    }
    assert beside == {
        ("Fine_Tuning", (15, "15 %")): (45.25, 45.0, None),
        ("Fine_Tuning +DM", (15, "15 %")): (pytest.approx(50.25 - 1 / 6), 50.0, 5.0),
        ("BSS", (30, "30 %")): (None, 60.0, None),
        ("Self-Tuning +Mixup", (30, "30 %")): (74.25, 74.0, None),
    }
    heads = comparison_csv(found, data).splitlines()[0]
    assert heads.startswith("dataset,backbone,method,objective,labels.percent,mean,")


@pytest.mark.parametrize(
    ("table", "settings", "form", "count"),
    [("Table 6", "steps=27000", "{}%", 63), ("Table 7", "steps=2^20", "{}", 33)],
)
def test_the_numbers_of_the_repository(table, settings, form, count):
    labels = Labels(setting="labels.percent", format=form)
    found = read_reported(
        REFERENCE / "reported.csv", Reported(table=table, settings=[settings], labels=labels), "method"
    )
    assert len(found) == count
    assert {len(numbers) for numbers in found.values()} == {1}


def checked(tmp_path, old, new):
    """Check the parameters with one text in place of another."""
    assert PARAMS.count(old) == 1
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.replace(old, new))
    document = load(path)
    params = validate(document)
    check_references(params, document, "full")
    return params


def test_the_parameters_of_these_tests_are_right(tmp_path):
    methods, by_rule = checked(tmp_path, "title: BSS", "title: BSS").tables.values()
    assert (methods.rows, by_rule.rows) == ("method", "addon.rule")


@pytest.mark.parametrize(
    ("old", "new", "where", "problem"),
    [
        ("rows: method", "rows: methods", "methods.rows", "'methods' is no row or column: write method,"),
        ("rows: addon.rule", "rows: pair.rule", "rules.rows", "'pair.rule' is no row or column"),
        ("rows: addon.rule", "rows: dataset", "rules.row_titles", "only rows by a setting"),
        ("rows: addon.rule", "rows: policy", "rules.row_titles", "only rows by a setting"),
        ("place: {ce: mce}", "losses: true", "rules.losses", "only rows by method with add-on"),
        ("rows: addon.rule", "rows: labels.percent", "rules.columns", "labels.percent is a row or"),
        ("{labels.percent: \"{} %", "{labels.count: \"{} %", "methods.column_titles", "the columns have"),
        ("{labels.percent: \"{} %", "{dataset: \"{} %", "methods.column_titles", "the columns have"),
        ("\"{} %\"", "percent", "methods.column_titles.labels.percent", "write {} once"),
        ("\"{}%\"", "\"{}{}\"", "methods.reported.labels.format", "write {} once"),
        (", labels: {setting: labels.percent, format: \"{}%\"}", "", "methods.reported", "no reported"),
        ("{setting: labels.percent", "{setting: labels.count", "methods.reported", "no reported number"),
        ("[dataset, labels.percent]", "[dataset]", "methods.column_titles", "the columns have no setting"),
        ("place: {ce: mce}", "reported: {table: T, settings: [a]}", "rules.reported", "no reported number"),
        ("{of: dm_ce, over: mce}", "{of: dm_ce, over: mce, rows: true}", "rules.gain", "only rows by method"),
        ("{of: dm, over: none}", "{of: dm_ce, over: none}", "methods.gain", "no addon 'dm_ce'"),
        ("{of: dm_ce, over: mce}", "{of: dm, over: mce}", "rules.gain", "no objective 'dm'"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_named_by_line(tmp_path, old, new, where, problem):
    with pytest.raises(DmixError) as caught:
        checked(tmp_path, old, new)
    place, _, message = caught.value.message.partition(f": tables.{where}: ")
    assert message.startswith(problem)
    path, _, line = place.rpartition(":")
    assert Path(path) == tmp_path / "params.yaml"
    written = (tmp_path / "params.yaml").read_text().splitlines()[int(line) - 1]
    assert where.split(".")[1] in written


def test_labels_that_no_column_says(tmp_path):
    text = PARAMS.replace('    column_titles: {labels.percent: "{} %"}\n', "")
    path = tmp_path / "params.yaml"
    path.write_text(text.replace("columns: [dataset, labels.percent]", "columns: [dataset]"))
    with pytest.raises(DmixError, match=r"tables.methods.reported: no row or column says labels.percent"):
        validate(load(path))
