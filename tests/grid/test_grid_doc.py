"""docs/grid.md says what the grid is: its counts are the grid's, its ids those of the deviations."""

from __future__ import annotations

import csv
import math
import re

import pytest

from dmix.grid.expand import load_grid
from project import ROOT

TEXT = (ROOT / "docs/grid.md").read_text()
FULL = load_grid("full", ROOT / "params.yaml")
# Number of a table -> what it is, rows, columns, seeds, runs.
ROWS = {
    number.strip(): [cell.strip() for cell in cells]
    for number, *cells in (line.strip("|").split("|") for line in TEXT.splitlines() if line.count("|") == 7)
    if re.fullmatch(r"S?\d", number.strip())
}


def numbers(text: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", text)]


def test_every_table_has_its_row():
    assert list(ROWS) == [table.number for table in FULL.tables.values()]


@pytest.mark.parametrize("name", FULL.tables)
def test_the_row_counts_what_the_table_reads(name):
    table = FULL.tables[name]
    _, rows, columns, seeds, runs = ROWS[table.number]
    specs = [FULL.runs[run] for run in FULL.table_runs(table)]
    mixed = [spec for spec in specs if spec.axes["policy"] != "vanilla"]
    assert numbers(rows) == [len({spec.axes["policy"] for spec in mixed})]
    assert ("Vanilla" in rows) == (len(mixed) < len(specs))
    assert [int(seeds)] == [len({spec.seed for spec in specs})]
    counted = [len(mixed), len(specs) - len(mixed)] if len(mixed) < len(specs) else [len(mixed)]
    assert numbers(runs) == counted
    assert math.prod((*numbers(rows), *numbers(columns), int(seeds))) == len(mixed)


def test_the_sum_counts_shared_runs_once():
    assert f"\n{len(FULL.runs):,} runs in all" in TEXT


def test_ids_are_those_of_the_deviations():
    with (ROOT / "reference/deviations.csv").open(newline="") as stream:
        known = {row["id"] for row in csv.DictReader(stream)}
    points = TEXT.partition("## Open points")[2]
    named = {
        *re.findall(r"\(([a-z]{1,2})\)", TEXT),
        *re.findall(r"\| ([a-z]{1,2}) \|$", points, re.MULTILINE),
    }
    assert named <= known
    # From w on they are choices of the grid, and all are on this page.
    assert {f"a{letter}" for letter in "abcdefghijkl"} | {"w", "x", "y", "z"} <= named
