"""docs/columns.md and the code name the same columns, in both directions."""

import csv
import re

import pytest
import torch

from dmix import PACKAGE
from dmix.engine.assemble import assemble
from dmix.engine.method import Step
from dmix.export.bundle import Line
from dmix.report.frame import LEADING, NUMBERS, TRAILING, load_frame
from every_part import first_runs
from project import ROOT, real_grid
from rendered import rendered
from small_sets import dataset_of

pytestmark = pytest.mark.slow

HEAD = "| column | type | unit | range | meaning |"


def documented():
    """File -> column -> (type, unit, range, meaning)."""
    found = {}
    for section in (ROOT / "docs/columns.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        file, _, text = section.partition("\n")
        assert text.count(HEAD) == 1, file
        rows = re.findall(r"^\| `([^`]+)` \|(.*)\|$", text, re.M)
        found[file] = {name: tuple(cell.strip() for cell in rest.split("|")) for name, rest in rows}
        assert len(rows) == len(found[file]), f"{file}: a column is there twice"
    return found


def fixed(file):
    """The columns whose names are not patterns, in order."""
    return [name for name in documented()[file] if "<" not in name]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Every table of the full tier, without any record."""
    return rendered("full", tmp_path_factory.mktemp("tier"), names=())


def header(path):
    with open(path, newline="") as stream:
        return next(csv.reader(stream))


def test_every_row_has_a_type_and_a_meaning():
    for file, columns in documented().items():
        assert columns, file
        for name, cells in columns.items():
            assert len(cells) == 4, (file, name)
            kind, _, _, meaning = cells
            assert kind in ("text", "number", "integer", "as the setting", "as the level"), (file, name)
            assert len(meaning) > 3, (file, name)


def test_the_frame():
    assert fixed("frame.csv") == [*LEADING, *TRAILING]
    grid = real_grid("full")
    names = tuple(grid.runs)[:: len(grid.runs) // 50]
    frame = load_frame(grid, names, ROOT / "nowhere", ["objective.eta"])
    others = [name for name in frame.columns if name not in (*LEADING, *TRAILING)]
    assert "objective.eta" in others
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_0-9]+", name) for name in others)
    assert {documented()["frame.csv"][name][0] for name in NUMBERS} == {"number"}


@pytest.mark.parametrize(
    ("file", "suffix", "pattern"),
    [
        ("table.csv", "", "level"),
        ("table_beside.csv", "_beside", "level"),
        ("table_comparison.csv", "_comparison", "setting"),
    ],
)
def test_tables(tables, file, suffix, pattern):
    known = fixed(file) if suffix != "_beside" else [*fixed("table.csv"), *fixed(file)]
    seen = set()
    for name, table in tables.grid.tables.items():
        columns = header(tables.folder / f"{name}{suffix}.csv")
        levels = {table.rows, *table.columns}
        assert [column for column in columns if column in known] == [
            column for column in known if column in columns
        ], name
        assert {column for column in columns if column not in known} <= levels, name
        seen |= set(columns)
    assert set(known) <= seen
    assert f"<{pattern}>" in documented()["table.csv" if suffix == "_beside" else file]


def test_the_manifest():
    assert fixed("manifest.csv") == list(Line._fields)


def test_the_history():
    """Beside the terms of the loss and the predictors, which parts name, a row has what is documented."""
    spec, _ = first_runs("method")["supervised"]
    trainer = assemble(spec, dataset_of(spec), torch.device("cpu"))
    terms = set(trainer.method.losses(trainer.loader.batch(0), Step(0, trainer.total, trainer.draws)))
    assert trainer.run(lambda _: True)
    columns = dict.fromkeys(name for row in trainer.history for name in row)
    others = [name for name in columns if name not in terms and not name.startswith("top1_")]
    assert others == fixed("history.csv")
    assert terms
    assert any(name.startswith("top1_") for name in columns)
    assert {"<term>", "top1_<predictor>"} == set(documented()["history.csv"]) - set(others)


def test_the_terms_of_losses_and_the_predictors_exist():
    text = (ROOT / "docs/columns.md").read_text(encoding="utf-8")
    words = text.partition("Terms of the loss:")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+)`", words))
    assert len(named) > 20
    source = "".join(
        path.read_text(encoding="utf-8")
        for room in ("methods", "policies", "engine")
        for path in (PACKAGE / room).rglob("*.py")
    )
    for name in named:
        assert f'"{name}"' in source or f"}}{name}" in source, name
