"""The tables at the size of the full tier, where they are widest: invented numbers, set by LaTeX."""

import random
import re

import pytest

from dmix.grid.expand import load_grid
from dmix.report.build import REFERENCE, render
from dmix.report.deviations import read_deviations
from dmix.report.ledger import concerned, to_ledger
from dmix.report.settings_table import build_settings, render_settings
from fabricated import everything_present, fabricate
from latex import PREAMBLE, compiled, needs_latex, numbers_of
from project import ROOT, real_grid

MOST_NOTES = 7
SHRINKS = 1.17  # the widest table may be so much wider than the page, and is shrunk to it


@pytest.fixture(scope="module")
def full():
    return everything_present(load_grid("full", ROOT / "params.yaml", thorough=False))


@pytest.fixture(scope="module")
def runs(full, tmp_path_factory):
    root = tmp_path_factory.mktemp("full") / "runs"
    fabricate(full, root)
    return root


@pytest.fixture(scope="module")
def deviations():
    return read_deviations(ROOT / REFERENCE / "deviations.csv")


@pytest.mark.slow
@needs_latex
def test_every_table_fits_the_page_and_links_to_the_ledger_and_back(full, runs, deviations, tmp_path):
    for name in full.tables:
        render(full, name, runs, tmp_path, ROOT / REFERENCE)
    for name in full.settings_tables:
        render_settings(full, name, tmp_path)
    (tmp_path / "ledger.tex").write_text(to_ledger(deviations, concerned(full, deviations)))
    names = [*full.tables, *full.settings_tables]
    inputs = [f"\\input{{{name}{product}}}" for product in ("", "_beside") for name in full.tables]
    inputs += [f"\\input{{{name}}}\\clearpage" for name in full.settings_tables]
    inputs += [f"\\input{{{name}_comparison}}\\input{{{name}_numbers}}" for name in full.tables]
    measured = [
        rf"{{\footnotesize\setlength{{\tabcolsep}}{{2pt}}\sbox0{{\input{{{name}_body}}}}"
        rf"\typeout{{WIDTH {name} \the\wd0}}}}"
        for name in names
    ]
    body = "\n".join((*inputs, r"\input{ledger}", *measured))
    log = compiled(tmp_path, body, PREAMBLE + "\\usepackage{hyperref}\n")
    widths = {name: float(width) for name, width in re.findall(r"WIDTH (\w+) ([\d.]+)pt", log)}
    assert widths.keys() == set(names)
    assert {name: width for name, width in widths.items() if width > 397.5 * SHRINKS} == {}
    labels = numbers_of(tmp_path)
    assert {f"tab:dmix:{table.number}" for table in full.tables.values()} <= labels.keys()
    assert {f"dmix:deviation:{item.id}" for item in deviations} <= labels.keys()


def test_few_deviations_are_told_below_a_table_each_in_a_line(full, deviations):
    tables = concerned(full, deviations)
    short = [item for item in deviations if item.short]
    assert max(len(item.short) for item in short) <= 105  # characters of a line of the page
    told = {
        table.number: [item.id for item in short if table.number in tables[item.id]]
        for table in full.tables.values()
    }
    assert {number: ids for number, ids in told.items() if len(ids) > MOST_NOTES} == {}
    # One that concerns most tables sets none of them apart.
    assert [item.id for item in short if len(tables[item.id]) > len(full.tables) / 2] == []
    day = concerned(everything_present(real_grid("day")), deviations)  # has a table that full scale has not
    everywhere = {letter for ids in told.values() for letter in ids} | {
        letter for letter in day if day[letter]
    }
    assert {item.id for item in short} <= everywhere


def test_without_ten_records_everything_renders_with_gaps(full, runs, tmp_path):
    name = "table8"
    gone = random.Random(0).sample(full.table_runs(full.tables[name]), 10)
    fabricate(full, tmp_path / "runs", [run for run in full.table_runs(full.tables[name]) if run not in gone])
    render(full, name, tmp_path / "runs", tmp_path / "out", ROOT / REFERENCE)
    render(full, name, runs, tmp_path / "whole", ROOT / REFERENCE)
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "out" / path.name).stat().st_size > 0
    assert "[n=2]" in (tmp_path / "out/table8.txt").read_text()
    assert "[n=" not in (tmp_path / "whole/table8.txt").read_text()


def test_table_a1_has_the_settings_that_runs_are_trained_with(full):
    sheet = build_settings(full, "tableA1")
    rows = {title: values for title, *values in sheet.rows}
    assert sheet.columns == ("PyTorch", "DeiT (DeiT-S)", "DeiT (Swin-T)", "RSB A3")
    assert rows["Epochs"] == ["100", "300", "300", "100"]
    assert rows["Optimiser"] == ["SGD", "AdamW", "AdamW", "LAMB"]
    assert rows["Drop path"] == ["–", "0.1", "0.2", "–"]  # noqa: RUF001
    assert rows["Precision"] == ["float32", "float32", "float16 / float32", "float16"]
    # A setting that no run has would be a row of gaps.
    assert all(set(values) != {"–"} for values in rows.values())  # noqa: RUF001
