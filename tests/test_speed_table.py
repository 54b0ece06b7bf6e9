"""The table of a device's speed, from CSVs with numbers that are easy to follow."""

from __future__ import annotations

import csv
import importlib

import pytest

from project import ROOT

MACHINE = {
    "device": "GPU 9000",
    "host": "CPU 1",
    "cores": "2",
    "threads": "1",
    "memory_mb": "",
    "driver": "",
    "cudnn": "",
    "dmix": "0.1.0",
    "torch": "2.0",
}


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


def lay(path, columns, rows):
    """A CSV of a script; a column that the script does not write is an error."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


QUANTILES = ("_low", "_high")


def step(policy, objective, milliseconds, ratio, floor=1, over=1):
    of_what = {"setup": "tiny", "precision": "fp32", "policy": policy, "objective": objective}
    over_mce = spread("over_mce", over, over - 0.5, over + 0.5, QUANTILES)
    numbers = {"milliseconds": milliseconds, "floor": floor, "n": 20}
    return of_what | numbers | spread("ratio", *ratio, QUANTILES) | over_mce


def spread(name, middle, lowest, highest, ends=("_lowest", "_highest")):
    return {name: middle, f"{name}{ends[0]}": lowest, f"{name}{ends[1]}": highest}


def measured(folder, scripts):
    """A folder with all parts but the transfer methods."""
    scripts("measure").write_rows(folder / "machine.csv", [MACHINE])
    parts = [
        {"part": "steps", "date": "2026-01-02", "commit": "abc", "load": "0.5"},
        {"part": "grid", "date": "2026-01-03", "commit": "abc", "load": "11.0"},
    ]
    scripts("measure").write_rows(folder / "parts.csv", parts)
    steps = [
        step("mixup", "mce", 100, (1, 1, 1)),
        step("mixup", "dm_ce", 110, (1.1, 1, 1.2), over=1.5),
        step("puzzlemix", "mce", 200, (2, 1.6, 3), floor=1.6),
        step("automix", "mce", 315, (3.15, 3, 3.3), floor=3),
        step("timm", "plain loop", 80, (0.8, 0.5, 1)),
    ]
    lay(folder / "steps.csv", scripts("step_time").COLUMNS, steps)
    recipe = {"recipe": "cifar", "network": "ResNet-18", "side": 32, "batch": 10}
    rates = {"both_images_per_second": 50, "step_images_per_second": 60}
    recipes = [{**recipe, **rates, **spread("both_over_step", 1.2, 1, 1.25), "n": 3}]
    lay(folder / "recipes.csv", scripts("throughput").COLUMNS, recipes)
    floor = {"precision": "fp32", "bound": "bytes", "floor_milliseconds": 50, "milliseconds": 100}
    roofline = [{**recipe, **floor, **spread("ratio", 2, 1.9, 2.1), "n": 5}]
    lay(folder / "roofline.csv", scripts("roofline").COLUMNS, roofline)
    share = spread("share", 0.052, 0.05, 0.125, QUANTILES)
    python = {"setup": "tiny", "policy": "automix", "objective": "dm_ce", "milliseconds": 12.345, "n": 4}
    lay(folder / "overhead.csv", scripts("overhead").COLUMNS, [{**python, **share}])
    feeds = [
        {"setup": "WRN", "images": 240, "part": part, "feed": feed, "n": 7, "milliseconds": milliseconds}
        | spread("ratio", ratio, ratio / 2, ratio * 2)
        for part, feed, milliseconds, ratio in (
            ("step", "device", 300, 0.8),
            ("step", "pillow", 240, 1),
            ("augmentation", "device", 10, 4),
            ("augmentation", "pillow", 40, 1),
        )
    ]
    lay(folder / "feeds.csv", scripts("fixmatch_throughput").COLUMNS, feeds)
    ways = [
        {"way": way, "side": 32, "batch": 400, "images_per_second": rate, **spread("ratio", *ratio), "n": 15}
        for way, rate, ratio in (("pillow", 4000, (1, 1, 1)), ("batched, cpu", 16000, (4, 2, 5)))
    ]
    lay(folder / "strong.csv", scripts("strong_augmentation").COLUMNS, ways)
    grid_scale = scripts("grid_scale")
    rows = [
        grid_scale.Row(1591, "dmix --help", 3, 0.5, 0.4, 0.6, 0.25, 0.2, 0.35),
        grid_scale.Row(1591, "snakemake --version", 3, 2, 2, 2, 1.5, 1.5, 1.5),
        grid_scale.Row(1591, "dry run, counts", 3, 5, 5, 5, 4.5, 4.5, 4.5, 3.0, 2.5, 3.5, 2.0),
        grid_scale.Row(10344, "dry run, counts", 3, 30, 30, 30, 26, 26, 26, 24, 23, 25, 12),
        grid_scale.Row(10344, "dry run, all finished", 3, 9, 9, 9, 9, 9, 9, 7.5, 7, 8),
        grid_scale.Row(1591, "dmix status", 3, 1, 1, 1, 1.5, 1, 2),
        grid_scale.Row(10344, "dmix plan", 3, 5, 5, 5, 5, 4, 6),
    ]
    grid_scale.write(folder / "grid.csv", rows)
    activations = [("resnet18", 32, 1.5, 1), ("resnet18", 224, 7.5, 8)]
    columns = scripts("activations").COLUMNS
    lay(folder / "activations.csv", columns, [dict(zip(columns, row, strict=True)) for row in activations])


EXPECTED = ROOT / "tests/speed_table.md"


def test_a_table_of_all_parts(scripts, tmp_path):
    measured(tmp_path, scripts)
    text = scripts("table").write(tmp_path)
    assert text == EXPECTED.read_text()
    assert (tmp_path / "table.md").read_text() == text


def test_a_step_of_a_transfer_method_stands_beside_its_floor(scripts):
    columns = ("setup", "method", "add_on", "milliseconds", "ratio", "ratio_low", "ratio_high", "floor", "n")
    assert columns == scripts("method_step_time").COLUMNS
    rows = [
        dict(zip(columns, ("tiny", *row, "20"), strict=True))
        for row in (
            ("fine_tuning", "", "50", "1", "1", "1", "1"),
            ("bss", "dm_ce", "150", "3", "2", "4", "2"),
        )
    ]
    (found,) = scripts("table").methods(rows)
    name = "bss step with Mixup and DM(CE) (tiny)"
    other = "floor, 2.00 x fine_tuning: 100 ms"
    assert found.cells() == (name, "150 ms", other, "1.500", "1.000 to 2.000", "20", "—", "—")


def test_every_target_is_that_of_a_figure(scripts, tmp_path, monkeypatch):
    table, used = scripts("table"), set()
    cells = table.Figure.cells
    monkeypatch.setattr(table.Figure, "cells", lambda figure: used.add(figure.target) or cells(figure))
    measured(tmp_path, scripts)
    table.write(tmp_path)
    assert {*table.TARGETS} - used == {"dmix status, 10000", "dmix plan, 1600"}  # not among the rows above
