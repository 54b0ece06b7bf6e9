"""What `dmix plan` thinks that a run costs."""

from __future__ import annotations

import math

import pytest

from dmix.grid.cost import estimated_seconds
from dmix.grid.expand import load_grid
from dmix.grid.needs import minutes
from dmix.grid.plan import Line, make_plan
from dmix.grid.work import forward_gflop, image_side
from project import ROOT, real_grid

KNOWN = {32: 1.0, 224: 98.0}


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (32, 1.0),
        (224, 98.0),
        (16, 1 / 4),
        (64, 4.0),  # 2 times 32, and 3.5 times less than 224
        (84, (84 / 32) ** 2),  # the middle is sqrt(32 * 224), 84.7
        (85, 98 * (85 / 224) ** 2),
        (112, 98 / 4),
        (160, 98 * (160 / 224) ** 2),
        (448, 98 * 4),
    ],
)
def test_operations_at_another_side_go_by_area_from_the_nearest(side, expected):
    assert forward_gflop(KNOWN, side) == pytest.approx(expected)
    assert forward_gflop(dict(reversed(KNOWN.items())), side) == pytest.approx(expected)


def test_one_known_side_serves_all():
    assert forward_gflop({224: 9.2}, 32) == pytest.approx(9.2 / 49)


@pytest.mark.parametrize(
    ("name", "side", "seconds"),
    [
        # Epochs x images x forwards a step x operations at that side, over a share of an A100's peak.
        ("tiny_imagenet/resnext50/mixup/mce", 64, 400 * 100_000 * 3 * 2.69e9 * 4 / (0.4 * 19.5e12)),
        (
            "imagenet/resnet50/rsb/dm_bce",
            160,
            100 * 1_281_167 * 3 * 8.22e9 * (160 / 224) ** 2 / (0.2 * 312e12),
        ),
        ("imagenet/deit_small/puzzlemix/dm_ce", 224, 300 * 1_281_167 * 5 * 9.2e9 / (0.58 * 19.5e12)),
        ("cub/resnet18/samix/mce", 224, 200 * 5994 * 9 * 3.64e9 / (0.58 * 19.5e12)),
    ],
)
def test_full_scale_estimates(name, side, seconds, monkeypatch):
    monkeypatch.chdir(ROOT)
    grid = real_grid("full")
    run = f"supervised/{name}/s0"
    assert image_side(grid.runs[run]) == side
    assert estimated_seconds(grid, run) == pytest.approx(seconds)


def test_a_run_that_two_tables_share_counts_once_in_all(expanded, tmp_path, monkeypatch):
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    varied = (
        "\ntables:\n",
        "  eta: {method: supervised, recipe: cifar, dataset: cifar10, backbone: resnet18, policy: cutmix, "
        "objective: dm_ce, objective.eta: [0.1, 0.5], seeds: [0]}\n\ntables:\n"
        '  tableS3: {number: S3, title: "eta", grids: [eta], rows: policy, columns: [objective.eta]}\n',
    )
    grid = expanded(varied, small=True, tier="embedded")
    shared = "supervised/cifar10/resnet18/cutmix/dm_ce/s0"  # eta is 0.1 there
    assert grid.grids["eta"] == (shared, "supervised/cifar10/resnet18/cutmix/dm_ce/eta=0.5/s0")
    *tables, every = make_plan(grid).lines

    def line(table, to_train, unimplemented):
        runs = to_train + unimplemented
        seconds = to_train * 4
        return Line(
            table,
            runs,
            0,
            to_train,
            0,
            unimplemented,
            pytest.approx(seconds / 3600),
            pytest.approx(seconds / 86400),
        )

    assert tables == [line("table1", 30, 12), line("tableS1", 15, 6), line("tableS3", 2, 0)]
    assert every == line("all", 46, 18)
    assert sum(table.runs for table in tables) == every.runs + 1


def test_the_papers_shared_runs_count_once(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    grid = load_grid("smoke", ROOT / "params.yaml")
    *tables, every = make_plan(grid).lines
    in_tables = {name for table in grid.tables.values() for name in grid.table_runs(table)}
    read = {name for table in grid.tables.values() for name in table.grids}
    beside = {run for name, runs in grid.grids.items() if name not in read for run in runs}
    assert set(grid.grids["pretraining"]) <= beside
    assert every.runs == len(grid.runs) == len(in_tables | beside)
    assert sum(table.runs for table in tables) > every.runs


def test_a_job_asks_for_an_hour_at_least_and_for_what_the_site_allows_at_most(expanded, monkeypatch):
    monkeypatch.chdir(ROOT)
    grid = expanded()
    fixmatch = "semi/fixmatch/cifar100/wrn28_8/vanilla/ce/count=400/s0"
    assert minutes(grid, fixmatch) == 24 * 60
    needed = minutes(grid, fixmatch, 10**6)
    assert needed == math.ceil(3 * estimated_seconds(grid, fixmatch) / 60)
    assert 24 * 60 < minutes(grid, fixmatch, 7 * 24 * 60) <= 7 * 24 * 60
    assert minutes(grid, "semi/supervised_only/cifar10/wrn28_2/vanilla/ce/count=250/s0") >= 60
