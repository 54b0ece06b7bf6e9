"""The pages on the grid and its methods say what the grid is: its counts, its values, ids of deviations."""

from __future__ import annotations

import csv
import re
import runpy

import pytest
import yaml

from dmix.grid.gpus import DEFAULT, read_gpu, read_utilisation
from dmix.report.deviations import in_scope, parse_scope
from paper import paper, with_controls
from project import ROOT, real_grid

TEXT = (ROOT / "docs/grid.md").read_text()
TRANSFER = (ROOT / "docs/transfer.md").read_text()
SEMI = (ROOT / "docs/semi-supervised.md").read_text()
FULL = paper("full")
COUNTS = runpy.run_path(str(ROOT / "docs/counts.py"))
# Rows, columns, seeds and runs of each table: what nine policies make of the paper's tables, and its figures.
PAPERS = {
    "1": (10, 8, 3, 216 + 12), "2": (10, 6, 3, 162 + 9), "3": (10, 4, 3, 108 + 6), "4": (10, 3, 3, 90),
    "5": (8, 8, 3, 192), "6": (8, 9, 3, 216), "7": (10, 5, 3, 150), "8": (4, 6, 3, 54 + 9),
    "S1": (10, 4, 3, 108 + 6), "S2": (6, 6, 3, 108), "S3": (4, 5, 3, 60), "S4": (2, 8, 3, 48),
    "S5": (2, 8, 3, 48), "S6": (4, 15, 3, 180), "S7": (2, 18, 3, 108), "S8": (6, 3, 3, 54),
}  # fmt: skip


def test_the_page_is_what_the_script_counts():
    """Of the paper's parts, and where somebody added some and counted anew, of all."""
    written = COUNTS["between"](TEXT)
    grids = (with_controls("full"), real_grid("full"))
    assert written in [COUNTS["counted"](grid) for grid in grids]


def test_the_papers_tables_have_the_papers_cells():
    lines = [line.strip("| ").split(" | ") for line in COUNTS["counted"](FULL).splitlines() if "|" in line]
    assert {number: tuple(map(int, cells)) for number, _, *cells in lines[2:]} == PAPERS
    # Ablations share 4 cells with Table 2, 8 with each other and 11 with Tables 1 and 5.
    assert len(FULL.runs) == 1571 + 2 * (20 - 4 + 16 + 16 - 8 + 60 - 11)


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
    assert {"ce", "cf", "ch", "cj"} <= named


def test_what_the_guide_says_of_captions_is_in_them():
    claim = "say nothing about the paper's claims"
    guide = " ".join((ROOT / "docs/reproduce.md").read_text().split())
    assert claim in guide
    assert "captions say so" in guide
    assert claim in " ".join(paper("embedded").params.tiers["embedded"].note.split())
    for page in sorted((ROOT / "docs").glob("*.md")):  # no page ascribes another word to them
        for sentence in re.findall(r"[^.]*caption[^.]*\.", page.read_text()):
            assert "noise" not in sentence, page


TRANSFER_IDS = {f"a{letter}" for letter in "mnopqrstuvwxyz"} | {f"b{letter}" for letter in "abcdef"} | {"ci"}
SHARED_IDS = {f"a{letter}" for letter in "prstvw"} | {"ci"}  # of mixed rows, by the same rule in both
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
    share = read_utilisation(ROOT / "reference/utilisation.csv")["small", "fp32"]
    rate = read_gpu(DEFAULT, ROOT / "reference/gpus.csv").peak("fp32") * share
    printed = {label: cells for label, *cells in rows(SEMI, 6) if label in costs}
    assert printed.keys() == costs.keys()
    recipe = FULL.runs["semi/fixmatch/cifar10/wrn28_2/vanilla/ce/count=250/s0"].settings["recipe"]
    for label, (passes, *cells) in printed.items():
        assert {int(passes)} == costs[label]
        work = [
            recipe["batch_size"] * int(passes) * FULL.params.backbones[network].forward_gflop[32] / 1000
            for network in ("wrn28_2", "wrn28_8")
        ]
        hours = [recipe["steps"] * tflop / rate / 3600 for tflop in work]
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
