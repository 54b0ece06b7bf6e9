"""docs/grid.md and docs/transfer.md say what the grid is: its counts, its values, and ids of deviations."""

from __future__ import annotations

import csv
import math
import re

import pytest
import yaml

from dmix.grid.expand import load_grid
from dmix.report.scope import in_scope, parse_scope
from project import ROOT

TEXT = (ROOT / "docs/grid.md").read_text()
TRANSFER = (ROOT / "docs/transfer.md").read_text()
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
    mixed = specs if table.rows == "method" else [s for s in specs if s.axes["policy"] != "vanilla"]
    assert numbers(rows) == [len({row_of(spec, table.rows) for spec in mixed})]
    assert ("Vanilla" in rows or "alone" in rows) == (len(mixed) < len(specs))
    assert [int(seeds)] == [len({spec.seed for spec in specs})]
    counted = [len(mixed), len(specs) - len(mixed)] if len(mixed) < len(specs) else [len(mixed)]
    assert numbers(runs) == counted
    assert math.prod((*numbers(rows), *numbers(columns), int(seeds))) == len(mixed)


def row_of(spec, rows):
    if rows == "method":
        return spec.axes["method"], spec.axes["objective"]
    section, _, key = rows.partition(".")
    return spec.settings[section][key] if key else spec.axes[rows]


def test_the_sum_counts_shared_runs_once():
    assert f"\n{len(FULL.runs):,} runs in all" in TEXT


def deviations():
    """Return id -> scope."""
    with (ROOT / "reference/deviations.csv").open(newline="") as stream:
        return {row["id"]: parse_scope(row["scope"]) for row in csv.DictReader(stream)}


def ids(text, points=""):
    """Return the ids in parentheses, and those in the last column of the tables in `points`."""
    return {
        *re.findall(r"\(([a-z]{1,2})\)", text),
        *re.findall(r"\| ([a-z]{1,2}) \|$", points, re.MULTILINE),
    }


def test_ids_are_those_of_the_deviations():
    named = ids(TEXT, points=TEXT.partition("## Open points")[2])
    assert named <= set(deviations())
    # From w on they are choices of the grid, and all of the supervised half are on this page.
    assert {f"a{letter}" for letter in "abcdefghijkl"} | {"w", "x", "y", "z"} <= named


def test_the_page_on_transfer_learning_names_its_own():
    named, known = ids(TRANSFER, points=TRANSFER), deviations()
    assert named <= set(known)
    runs = [{**s.axes, "recipe": FULL.cells[name].recipe, "task": s.task} for name, s in FULL.runs.items()]
    tasks = {id_: {run["task"] for run in runs if in_scope(scope, run)} for id_, scope in known.items()}
    own = {id_ for id_, concerned in tasks.items() if concerned == {"transfer"}}
    assert own == {f"a{letter}" for letter in "mnopqrstuvwxyz"} | {f"b{letter}" for letter in "abcdef"}
    assert own <= named


def rows(text, columns):
    """Return the cells of all rows of tables with as many columns."""
    lines = (line for line in text.splitlines() if line.startswith("|") and line.count("|") == columns + 1)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_switches_of_transfer_learning_have_their_defaults():
    settings: dict[str, dict[str, object]] = {}
    for method in ("co_tuning", "self_tuning"):
        spec = FULL.runs[f"transfer/{method}/cub/resnet50/mixup/dm_ce/percent=15/s0"]
        for section, values in spec.settings.items():
            settings[section] = settings.get(section, {}) | dict(values)
    named = {
        (section, key): yaml.safe_load(default.strip("`"))
        for _, setting, default, *_ in rows(TRANSFER, 6) + rows(TRANSFER, 5)
        if re.fullmatch(r"`[a-z]+\.[a-z_]+`", setting)
        for section, _, key in (setting.strip("`").partition("."),)
    }
    assert named == {(section, key): settings[section][key] for section, key in named}
    every = {(section, key) for section in ("pairing", "relation") for key in settings[section]}
    assert every - set(named) == {("pairing", "use")}


def test_costs_of_transfer_learning():
    printed = {label: int(number) for label, number, *_ in rows(TRANSFER, 4) if number.isdigit()}
    methods = {key: entry for key, entry in FULL.params.methods.items() if entry.task == "transfer"}
    own = methods.pop("self_tuning")
    assert printed["Self-Tuning"] == own.passes
    assert printed["Self-Tuning +Mixup, +DM"] == own.passes + own.paired_passes
    for entry in methods.values():
        assert printed["Fine-Tuning, BSS, Co-Tuning"] == entry.passes
        assert printed["the same +DM"] == entry.passes + entry.paired_passes
