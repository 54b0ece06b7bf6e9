"""The pages on the grid and its methods say what the grid is: its counts, its values, ids of deviations."""

from __future__ import annotations

import csv
import math
import re

import pytest
import yaml

from dmix.grid.cost import ASSUMED_TFLOPS
from dmix.report.deviations import in_scope, parse_scope
from paper import paper
from project import ROOT

TEXT = (ROOT / "docs/grid.md").read_text()
TRANSFER = (ROOT / "docs/transfer.md").read_text()
SEMI = (ROOT / "docs/semi-supervised.md").read_text()
FULL = paper("full")
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


TRANSFER_IDS = {f"a{letter}" for letter in "mnopqrstuvwxyz"} | {f"b{letter}" for letter in "abcdef"}
SHARED_IDS = {f"a{letter}" for letter in "prstvw"}  # of mixed rows, by the same rule in both
SEMI_IDS = {f"b{letter}" for letter in "ghijklmnopqrstuvwxyz"} | {f"c{letter}" for letter in "abcd"}


@pytest.mark.parametrize(
    ("task", "text", "ids_of_task"),
    [("transfer", TRANSFER, TRANSFER_IDS), ("semi", SEMI, SHARED_IDS | SEMI_IDS)],
    ids=["transfer", "semi"],
)
def test_a_page_on_methods_names_its_own(task, text, ids_of_task):
    named, known = ids(text, points=text), deviations()
    assert named <= set(known)
    runs = [{**s.axes, "recipe": FULL.cells[name].recipe, "task": s.task} for name, s in FULL.runs.items()]
    tasks = {id_: {run["task"] for run in runs if in_scope(scope, run)} for id_, scope in known.items()}
    own = {id_ for id_, concerned in tasks.items() if task in concerned and "supervised" not in concerned}
    assert own == ids_of_task
    assert own <= named


def rows(text, columns):
    """Return the cells of all rows of tables with as many columns."""
    lines = (line for line in text.splitlines() if line.startswith("|") and line.count("|") == columns + 1)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


CUB = "cub/resnet50/mixup/dm_ce/percent=15/s0"
CIFAR10 = "cifar10/wrn28_2/{}/count=250/s0"
SWITCHES = {
    "transfer": (TRANSFER, [f"transfer/{method}/{CUB}" for method in ("co_tuning", "self_tuning")]),
    # FixMatch last: the defaults are its own, but for what other methods alone have
    "semi": (
        SEMI,
        [
            *(f"semi/{method}/{CIFAR10.format('vanilla/ce')}" for method in ("uda", "flexmatch")),
            *(f"semi/{method}/{CIFAR10.format('mixup/dm_ce')}" for method in ("mixmatch", "fixmatch")),
        ],
    ),
}


@pytest.mark.parametrize("task", SWITCHES)
def test_switches_have_their_defaults(task):
    text, runs = SWITCHES[task]
    settings: dict[str, dict[str, object]] = {}
    for name in runs:
        for section, values in FULL.runs[name].settings.items():
            settings[section] = settings.get(section, {}) | dict(values)
    named = {
        (section, key): yaml.safe_load(default.strip("`"))
        for _, setting, default, *_ in rows(text, 6) + rows(text, 5)
        if re.fullmatch(r"`[a-z]+\.[a-z_]+`", setting)
        for section, _, key in (setting.strip("`").partition("."),)
    }
    assert named == {(section, key): settings[section][key] for section, key in named}
    every = {(section, key) for section in ("addon", "relation") for key in settings.get(section, {})}
    assert every - set(named) == {("addon", "use")}


def test_costs_of_transfer_learning():
    printed = {label: int(number) for label, number, *_ in rows(TRANSFER, 4) if number.isdigit()}
    methods = {key: entry for key, entry in FULL.params.methods.items() if entry.task == "transfer"}
    own = methods.pop("self_tuning")
    assert printed["Self-Tuning"] == own.passes
    assert printed["Self-Tuning +Mixup, +DM"] == own.passes + own.addon_passes
    for entry in methods.values():
        assert printed["Fine-Tuning, BSS, Co-Tuning"] == entry.passes
        assert printed["the same +DM"] == entry.passes + entry.addon_passes


def test_costs_of_semi_supervised_learning():
    methods = {key: entry for key, entry in FULL.params.methods.items() if entry.task == "semi"}
    costs = {
        "labels alone": {methods["supervised_only"].passes},
        "Pseudo-Labeling": {methods["pseudo_label"].passes},
        "MixMatch, +DM": {methods["mixmatch"].passes, sum_of(methods["mixmatch"])},
        "ReMixMatch": {methods["remixmatch"].passes},
        "UDA, FixMatch, FlexMatch": {methods[key].passes for key in ("uda", "fixmatch", "flexmatch")},
        "FixMatch +Mixup, +DM": {sum_of(methods["fixmatch"])},
    }
    printed = {label: cells for label, *cells in rows(SEMI, 6) if label in costs}
    assert printed.keys() == costs.keys()
    recipe = FULL.runs["semi/fixmatch/cifar10/wrn28_2/vanilla/ce/count=250/s0"].settings["recipe"]
    for label, (passes, *cells) in printed.items():
        assert {int(passes)} == costs[label]
        work = [
            recipe["batch_size"] * int(passes) * FULL.params.backbones[network].forward_gflop[32] / 1000
            for network in ("wrn28_2", "wrn28_8")
        ]
        hours = [recipe["steps"] * tflop / ASSUMED_TFLOPS / 3600 for tflop in work]
        assert [float(cell) for cell in cells] == pytest.approx(work + hours, rel=0.02), label


def sum_of(entry):
    return entry.passes + entry.addon_passes


def test_numbers_of_others_are_those_beside_table_7():
    with (ROOT / "reference/reported.csv").open(newline="") as stream:
        found = [row for row in csv.DictReader(stream) if row["table"] == "Table 7"]
    of_torchssl = [row for row in found if row["source"] == "TorchSSL"]
    anchors = re.findall(r"^  \| ([A-Z][\w-]+) \| ([\d. |]+) \|$", SEMI, re.MULTILINE)
    assert [(name, cell) for name, cells in anchors for cell in cells.split(" | ")] == [
        (row["method"], row["value"]) for row in of_torchssl
    ]
    for row in found:
        if row["source"] != "TorchSSL":
            assert row["value"] in SEMI
