"""Verdicts on published numbers, and what the reference files hold."""

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

import pytest

from dmix.errors import DmixError
from dmix.grid.table import Reported
from dmix.report.compare import compare
from dmix.report.compare_files import to_csv
from dmix.report.deviations import concerning, read_deviations
from dmix.report.frame import load_frame
from dmix.report.levels import settings_of
from dmix.report.reported import HEADER, SOURCES, Published, read_reported
from dmix.report.table import build_table
from project import real_grid

REFERENCE = Path(__file__).parents[2] / "reference"
WANTED = Reported(table="Table T", settings=["epochs=5"])


@pytest.fixture
def rows(toy):
    """The comparison on real data, by (backbone, policy, objective) titles and source."""
    grid = toy.make_grid(toy.specs("real"), "full")
    toy.fill(grid)
    published = read_reported(toy.reference / "reported.csv", WANTED)
    found = compare(toy.table(grid, published=published), grid.params)
    return {(row.backbone[:8], row.row, row.objective, row.source): row for row in found}


@pytest.mark.parametrize(
    ("key", "difference", "z", "verdict"),
    [
        # -0.5 over 1 / sqrt(3); the source prints no spread.
        (
            ("ResNet-1", "Vanilla", "CE", "OpenMixup benchmark"),
            -0.5,
            -0.5 * 3**0.5,
            "within 2 standard errors",
        ),
        # 0.3 over sqrt(0.2^2 / 3 + 0.3^2 / 3).
        (
            ("ResNet-1", "Mix_up & Co", "MCE", "paper"),
            0.3,
            0.3 / math.sqrt((0.04 + 0.09) / 3),
            "within 2 standard errors",
        ),
        (("ResNet-1", "Mix_up & Co", "MCE", "OpenMixup benchmark"), -0.7, -0.7 / (0.2 / 3**0.5), "below"),
        (("ResNet-1", "Mix_up & Co", "DM(CE)", "paper"), 1.0, 1.0 / (0.1 / 3**0.5), "above"),
        (
            ("ResNet-1", "Auto*Mix", "MCE", "paper"),
            -2.9,
            -2.9 / math.sqrt((0.01 + 0.36) / 3),
            "below",
        ),
        (("ResNet-1", "100% Cut#Mix", "DM(CE)", "paper"), 0.0, None, "one seed: no standard error"),
        (("ResNeXt-", "Mix_up & Co", "MCE", "paper"), 0.0, None, "within 2 standard errors"),
        (("ResNeXt-", "PuzzleMix", "MCE", "paper"), None, None, "no record"),
        (("ResNet-1", "Auto*Mix", "DM(CE)", ""), None, None, "not reported"),
    ],
)
def test_verdicts(rows, key, difference, z, verdict):
    row = rows[key]
    assert row.difference == (None if difference is None else pytest.approx(difference))
    assert row.z == (None if z is None else pytest.approx(z))
    assert row.verdict == verdict


def test_without_any_spread_a_difference_is_one(toy):
    spec = toy.spec_of("mix", "rx50", "mce", 0, edition="real")
    specs = [replace(spec, seed=seed) for seed in range(3)]
    grid = toy.make_grid(specs, "full")
    for one in specs:
        toy.write(grid, one, 76.4)
    published = read_reported(toy.reference / "reported.csv", WANTED)
    (row,) = compare(toy.table(grid, published=published), grid.params)
    assert (row.z, row.verdict) == (None, "below")


def test_embedded_data_are_shown_and_not_judged(toy):
    published = read_reported(toy.reference / "reported.csv", WANTED)
    found = compare(toy.table(toy.grid, published=published), toy.grid.params)
    assert {row.verdict for row in found} == {"not comparable: embedded data", "no record"}
    assert {(row.difference, row.z) for row in found} == {(None, None)}
    assert any(row.reported is not None for row in found)


def test_csv_reads_back(toy, rows):
    lines = list(csv.DictReader(io.StringIO(to_csv(list(rows.values()), toy.table(toy.grid)))))
    for line, row in zip(lines, rows.values(), strict=True):
        assert (float(line["z"]) if line["z"] else None) == row.z
        assert line["verdict"] == row.verdict


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Table T,,,epochs=5,,,,top1,x,,paper,", "value is 'x', expected a decimal number"),
        ("Table T,,,epochs=5,,,,top1,nan,,paper,", "value is 'nan', expected a decimal number"),
        ("Table T,,,epochs=5,,,,top1,7_5,,paper,", "value is '7_5', expected a decimal number"),
        ("Table T,,,epochs=5,,,,top1,1e1,,paper,", "value is '1e1', expected a decimal number"),
        ("Table T,,,epochs=5,,,,top1,175,,paper,", "value is 175, expected percent in 0..100"),
        ("Table T,,,epochs=5,,,,top1,-1,,paper,", "value is -1, expected percent in 0..100"),
        ("Table T,,,epochs=5,,,,top1,75,inf,paper,", "std is 'inf', expected a decimal number"),
        ("Table T,,,epochs=5,,,,top1,75,-1,paper,", "std is -1, expected percent in 0..100"),
        ("Table T,,,epochs=5,,,,top1,,,paper,", "value is '', expected a decimal number"),
        ("Another,,,epochs=9,,,,top1,nan,,paper,", "value is 'nan', expected a decimal number"),
        ("Table T,,,epochs=5,,,,top5,75,,paper,", "metric is 'top5', expected top1"),
        ("Table T,,,epochs=5,,,,top1,1,,recalled,", "source is 'recalled', expected one of paper"),
        ("Table T", "1 fields, expected 12"),
        ('Table T,,,epochs=5,,,,top1,1,,paper,"a" b', "not valid CSV"),
        ("Table T,,,epochs=5,,,,top1,1,,paper,\x00", r"the control character U\+0000"),
        (b"Table T,,,epochs=5,,,,top1,1,,paper,\xfc", "byte 0xfc is not UTF-8"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    path = tmp_path / "reported.csv"
    line = line if isinstance(line, bytes) else line.encode()
    path.write_bytes(f"{','.join(HEADER)}\n".encode() + line + b"\n")
    with pytest.raises(DmixError, match=message) as caught:
        read_reported(path, WANTED)
    assert "reported.csv:2" in caught.value.message


@pytest.mark.parametrize("second", ["75.0,,paper,", "75.00,,paper,", "76.0,,paper,another page"])
def test_a_source_gives_a_number_once(tmp_path, second):
    path, start = tmp_path / "reported.csv", "Table T,CIFAR-10,R,epochs=5,Mixup,MCE,,top1,"
    path.write_text(f"{','.join(HEADER)}\n{start}75.0,,paper,\n{start}{second}\n")
    with pytest.raises(DmixError, match=r"reported.csv:3: .*reported.csv:2"):
        read_reported(path, WANTED)


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path):
    path = tmp_path / "reported.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{','.join(HEADER)}\n".encode())
    assert read_reported(path, WANTED) == {}


def test_several_settings_of_one_table(toy):
    path = toy.reference / "reported.csv"
    wanted = Reported(table="Table T", settings=["epochs=5", "epochs=9"])
    one, more = read_reported(path, WANTED), read_reported(path, wanted)
    key = ("Toy-100 {made_up}", "ResNet-18", "Auto*Mix", "DM(CE)")
    assert {key: [number.value for number in more[key]] for key in more.keys() - one.keys()} == {key: [11.0]}
    assert {key: more[key] for key in one} == dict(one)


def test_bad_files_are_refused(tmp_path):
    for read in (lambda path: read_reported(path, WANTED), read_deviations):
        with pytest.raises(DmixError, match="cannot read"):
            read(tmp_path / "none.csv")
        (tmp_path / "bad.csv").write_text("a,b\n")
        with pytest.raises(DmixError, match="first line must be"):
            read(tmp_path / "bad.csv")


def test_a_bad_scope_is_named(tmp_path):
    path = tmp_path / "deviations.csv"
    path.write_text("id,scope,paper,ours,reason,where,short\na,all,,,,,\nb,seed=1,,,,,\n")
    with pytest.raises(DmixError, match="is no scope") as caught:
        read_deviations(path)
    assert caught.value.message == f"{path}:3: b: 'seed=1' is no scope"


def test_an_id_stands_once(tmp_path):
    path = tmp_path / "deviations.csv"
    path.write_text("id,scope,paper,ours,reason,where,short\na,all,,,,,\na,all,x,,,,\n")
    with pytest.raises(DmixError, match="given twice"):
        read_deviations(path)


def test_deviations_that_concern_a_table(toy):
    found = read_deviations(toy.reference / "deviations.csv")
    frame = toy.frame(toy.grid)
    # c is another data set, d is not implemented, no run has both of g.
    assert [item.id for item in concerning(found, frame)] == ["a", "b", "e", "f"]
    assert [item.id for item in concerning(found, frame[frame["policy"] == "vanilla"])] == ["a", "e"]


def test_only_what_the_paper_prints_is_called_paper():
    with (REFERENCE / "reported.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["source"] for row in rows} == set(SOURCES)
    assert not any("recalled" in value for row in rows for value in row.values())
    for row in rows:
        # The paper has no file to name; everything else names where it was read.
        assert (row["detail"] == "") == (row["source"] == "paper")
        float(row["value"])
        if row["source"] == "paper":
            assert row["table"] in ("Table 5", "Table 6") or row["metric"].startswith("text_")
    cells = [tuple(row[key] for key in HEADER[:8]) for row in rows]
    assert len(cells) == len(set(cells))


def test_the_deviations_of_the_repository_are_well_formed():
    found = read_deviations(REFERENCE / "deviations.csv")
    letters = "abcdefghijklmnopqrstuvwxyz"
    pairs = [first + second for first in "abc" for second in letters]
    assert [item.id for item in found] == [*letters, *pairs][: len(found)]
    assert len(found) > 80
    root = REFERENCE.parent
    params = real_grid("full").params
    sections = {"dataset": params.datasets, "policy": params.policies, "objective": params.objectives}
    sections |= {"backbone": params.backbones, "method": params.methods, "recipe": params.recipes}
    for item in found:
        for key, entries in item.scope.items():
            assert set(entries) <= set(sections[key])
    for item in found:
        assert all((item.paper, item.ours, item.reason))
        assert (root / item.where.partition(":")[0]).is_file()


def test_table_1_finds_its_numbers():
    wanted = Reported(table="Table 1", settings=["epochs=800", "epochs=400"])
    found = read_reported(REFERENCE / "reported.csv", wanted)
    (number,) = found["CIFAR-100", "ResNet-18", "Mixup", "MCE"]
    assert (number.value, number.std, number.source) == (79.12, None, "OpenMixup benchmark")
    assert len(found) == 40
    assert {key[0] for key in found} == {"CIFAR-100", "Tiny-ImageNet"}


def test_every_number_of_a_table_finds_its_cell(tmp_path):
    grid = real_grid("full")
    wanted, there = {}, {}
    for name, table in grid.params.tables.items():
        # OpenMixup-extra has more than any table of ours.
        if table.reported is None or not table.reported.table.startswith("Table"):
            continue
        found = read_reported(REFERENCE / "reported.csv", table.reported, table.rows)
        frame = load_frame(grid, grid.table_runs(table), tmp_path, settings_of(table))
        # Each number by its key, so that equal ones are told apart.
        named = {key: (Published(0.0, None, repr(key)),) for key in found}
        data = build_table(name, frame, table, grid.params, grid.tier, reported=named)
        wanted.setdefault(table.reported.table, set()).update(map(repr, found))
        there.setdefault(table.reported.table, set()).update(
            number.source for row in data.published for numbers in row for number in numbers
        )
    assert there == wanted
