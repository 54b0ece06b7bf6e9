"""Where the hours and the memory of a run are from, the most certain source first."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dmix.data_items import read_sources
from dmix.engine.parts import load_part
from dmix.errors import DmixError
from dmix.grid.cost import Costs, assumed_seconds, finished
from dmix.grid.disk import disk_of
from dmix.grid.gpus import read_gpu
from dmix.grid.speed import HEADER, Speed, read_speeds, step_of, write_speeds
from dmix.grid.work import images, tflop
from project import ROOT, real_grid

MIXUP = "supervised/cifar100/resnet18/mixup/mce/s0"
CUTMIX = "supervised/cifar100/resnet18/cutmix/dm_ce/s1"
TINY = "supervised/tiny_imagenet/resnext50/mixup/mce/s0"
CUB = "supervised/cub/resnet18/mixup/mce/s0"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def speed(grid, name, images_per_s, device="NVIDIA H100 80GB HBM3", together=1):
    return Speed(
        device=device,
        step=step_of(grid.runs[name]),
        together=together,
        data="noise",
        images_per_s=images_per_s,
        memory_mb=1500.0,
        cold_start_s=9.0,
        weights_mb=43.0,
        checkpoint_mb=86.0,
        steps=100,
        torch="2.13.0",
        run=name,
    )


@pytest.mark.parametrize(
    ("tier", "name", "tflops"),
    [
        ("day", MIXUP, 0.1 * 989.4),  # bf16, 32 px
        ("full", MIXUP, 0.4 * 67),  # fp32
        ("full", CUB, 0.58 * 67),  # 224 px
        ("full", "supervised/imagenet/resnet50/rsb/dm_bce/s0", 0.2 * 989.4),  # fp16
    ],
)
def test_what_is_assumed_is_work_over_a_share_of_the_peak(tier, name, tflops):
    grid = real_grid(tier)
    cost = Costs(grid, read_gpu("h100"), [])[name]
    assert cost.basis == "assumed"
    assert cost.seconds == pytest.approx(tflop(grid, grid.runs[name]) / tflops)
    assert cost.memory_mb is None
    assert cost.weights_mb == pytest.approx(
        grid.params.backbones[grid.runs[name].axes["backbone"]].parameters_m * 4e6 / 2**20
    )


def test_a_measured_step_gives_the_time_of_all_runs_with_it_and_the_rate_of_those_like_it():
    grid = real_grid("full")
    costs = Costs(grid, read_gpu("h100"), [speed(grid, MIXUP, 8000.0)])
    of_other_seed = MIXUP.replace("mce/s0", "dm_ce/s2")
    for name in (MIXUP, of_other_seed):
        assert costs[name].basis == "measured"
        assert costs[name].seconds == pytest.approx(800 * 50_000 / 8000 + 9)
        assert (costs[name].memory_mb, costs[name].checkpoint_mb) == (1500.0, 86.0)
    # CutMix has as many passes as Mixup; ResNeXt-50 has the rate of small images in fp32.
    assert costs[CUTMIX].basis == "scaled"
    assert costs[CUTMIX].seconds == pytest.approx(800 * 50_000 / 8000)
    rate = 8000 * tflop(grid, grid.runs[MIXUP]) / images(grid.runs[MIXUP])
    assert costs[TINY].basis == "scaled"
    assert costs[TINY].seconds == pytest.approx(tflop(grid, grid.runs[TINY]) / rate)
    assert costs[CUB].basis == "assumed"  # nothing of its size was measured


def test_the_rate_of_the_same_network_goes_before_that_of_all():
    grid = real_grid("full")
    wide = "supervised/cifar100/resnext50/mixup/mce/s0"
    other = wide.replace("mixup", "cutmix")
    costs = Costs(grid, read_gpu("h100"), [speed(grid, MIXUP, 8000.0), speed(grid, wide, 1000.0)])
    assert costs[other].basis == "scaled"
    assert costs[other].seconds == pytest.approx(images(grid.runs[other]) / 1000)


def test_measurements_of_another_device_or_of_several_runs_at_once_do_not_count():
    grid = real_grid("full")
    rows = [
        speed(grid, MIXUP, 100.0, device="NVIDIA A100-SXM4-80GB"),
        speed(grid, MIXUP, 9000.0, together=4),
    ]
    gpu = read_gpu("h100")
    assert Costs(grid, gpu, rows)[MIXUP] == Costs(grid, gpu, [])[MIXUP]
    # Without a GPU's name it is the device that was measured last.
    last = [*rows, speed(grid, MIXUP, 50.0, device="cpu")]
    assert Costs(grid, None, last)[MIXUP].seconds == pytest.approx(800 * 50_000 / 50 + 9)


def test_finished_runs_go_before_all_and_only_those_of_the_gpu_count(here, monkeypatch):
    grid = replace(real_grid("day"))  # its folders are not known yet
    for item in read_sources().values():  # as if all data were here
        (here / "data/real" / item.path).mkdir(parents=True, exist_ok=True)
    place = here / "results/day/records" / grid.folders[MIXUP]
    place.mkdir(parents=True)
    record = {
        "seconds": 720.0,
        "parameters": 11_000_000,
        "hardware": {"device": "NVIDIA A100-SXM4-80GB", "peak_memory_mb": 4000.0},
    }
    (place / "record.json").write_text(json.dumps(record))
    other = MIXUP.replace("s0", "s1")
    rows = [speed(grid, MIXUP, 8000.0, device="NVIDIA A100-SXM4-80GB")]
    on_a100 = Costs(grid, read_gpu("a100"), rows)[other]
    assert (on_a100.basis, on_a100.seconds, on_a100.memory_mb) == ("finished", 720.0, 4000.0)
    assert Costs(grid, None, [])[other].seconds == 720.0
    assert Costs(grid, read_gpu("h100"), rows)[other].basis == "assumed"
    # Four processes for 720 s are 2,880 s of one device.
    record["hardware"]["processes"] = 4
    (place / "record.json").write_text(json.dumps(record))
    assert Costs(grid, None, [])[other].seconds == 2880.0
    (place / "record.json").write_text(json.dumps({"seconds": 720.0}))
    assert finished(grid) == {}


def test_constants_of_small_tiers_stay_until_something_is_measured(here):
    grid = real_grid("smoke")
    constant = grid.params.tiers["smoke"].estimate_seconds
    cost = Costs(grid, read_gpu("h100"), [])[MIXUP]
    assert (cost.seconds, cost.basis, cost.weights_mb) == (constant, "constant", None)
    rows = [speed(grid, MIXUP, 500.0, device="cpu")]
    assert Costs(grid, None, rows)[MIXUP].seconds == pytest.approx(2 * 1400 / 500 + 9)
    assert Costs(grid, None, rows)[TINY].seconds == constant


def test_small_networks_of_small_tiers_are_other_steps():
    assert step_of(real_grid("smoke").runs[MIXUP]) != step_of(real_grid("full").runs[MIXUP])


def test_a_missing_share_is_named(here, monkeypatch):
    grid = real_grid("full")
    monkeypatch.setattr("dmix.grid.cost._utilisation", dict)
    with pytest.raises(DmixError, match=r"no line for small images in fp32"):
        assumed_seconds(grid, grid.runs[MIXUP], read_gpu("h100"))


def test_speeds_are_read_as_they_were_written_and_the_last_of_a_step_stays():
    grid = real_grid("full")
    rows = [speed(grid, MIXUP, 8000.0), speed(grid, CUB, 3000.0), speed(grid, MIXUP, 16000.0, together=3)]
    assert read_speeds() == ()
    write_speeds(rows)
    assert read_speeds() == tuple(rows)
    write_speeds([*rows, speed(grid, MIXUP, 8100.0)])
    assert [row.images_per_s for row in read_speeds()] == [8100.0, 3000.0, 16000.0]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("images_per_s", "0", "images_per_s is 0"),
        ("images_per_s", "many", "many"),
        ("memory_mb", "inf", "memory_mb is inf"),
        ("together", "1.5", "1.5"),
        ("data", "other", "data is 'other'"),
    ],
)
def test_wrong_speeds_are_named(column, value, message, here):
    write_speeds([speed(real_grid("full"), MIXUP, 8000.0)])
    path = here / "results/speed.csv"
    cells = path.read_text().splitlines()[1].split(",")
    cells[HEADER.index(column)] = value
    path.write_text(f"{','.join(HEADER)}\n{','.join(cells)}\n")
    with pytest.raises(DmixError, match=message) as caught:
        read_speeds()
    assert "speed.csv:2" in str(caught.value)


def test_disk_is_weights_of_all_and_checkpoints_of_those_that_train_at_once():
    grid = real_grid("full")
    names = [MIXUP, CUB, TINY, "semi/fixmatch/cifar10/wrn28_2/vanilla/ce/count=250/s0"]
    costs = {name: Costs(grid, None, [])[name] for name in names}
    disk = disk_of(grid, costs, names[1:], gpus=2)
    millions = {name: grid.params.backbones[grid.runs[name].axes["backbone"]].parameters_m for name in names}
    assert disk.weights_gb == pytest.approx(sum(millions.values()) * 4e-3)
    # Weights and two moments; that of the semi-supervised run, with an average, is smaller than both.
    assert disk.checkpoints_gb == pytest.approx((millions[TINY] + millions[CUB]) * 3 * 4e-3)
    assert {*disk.data_gb} == {"cifar100", "cub", "tiny_imagenet", "cifar10", "resnet18_weights"}
    assert disk.data_gb["cub"] == pytest.approx(1.150585339)
    assert disk.total_gb == pytest.approx(disk.weights_gb + disk.checkpoints_gb + sum(disk.data_gb.values()))
    unknown = {name: replace(cost, weights_mb=None) for name, cost in costs.items()}
    assert disk_of(grid, unknown, [], gpus=2).unknown == len(names)


@pytest.mark.parametrize("backbone", ["resnet18", "wrn28_2"])
def test_the_number_of_parameters_is_that_of_the_network(backbone):
    grid = real_grid("full")
    spec = next(spec for spec in grid.runs.values() if spec.axes["backbone"] == backbone)
    network = load_part("backbone", spec.settings["backbone"], spec.settings["dataset"]["classes"])
    count = sum(parameter.numel() for parameter in network.parameters())
    assert grid.params.backbones[backbone].parameters_m * 1e6 == pytest.approx(count, rel=0.05)
