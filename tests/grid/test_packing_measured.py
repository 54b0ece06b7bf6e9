"""How many runs share a device, by measurements of their rate together and of their memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dmix.devices.memory import DeviceKind
from dmix.errors import DmixError
from dmix.grid.packing import packing, read_server
from dmix.grid.packing_measured import Choice, Measured, choose
from dmix.grid.speed import Speed, step_of, write_speeds
from project import real_grid

KIND = DeviceKind("NVIDIA A100-SXM4-40GB", 40960.0)
MIXUP = "supervised/cifar100/resnet18/mixup/mce/s0"
CUTMIX = "supervised/cifar100/resnet18/cutmix/mce/s0"
LARGE = "supervised/imagenet/resnet18/mixup/mce/s0"


def cpu() -> list[DeviceKind]:
    return [DeviceKind("cpu", 1e6)]


def row(name: str, together: int, rate: float, memory: float = 1000.0, device: str = KIND.title) -> Speed:
    return Speed(
        device=device,
        step=step_of(real_grid("smoke").runs[name]),
        together=together,
        data="noise",
        images_per_s=rate,
        memory_mb=memory,
        cold_start_s=1.0,
        weights_mb=1.0,
        checkpoint_mb=2.0,
        steps=9,
        torch="2.13.0",
        run=name,
    )


@pytest.mark.parametrize(
    ("rates", "memory", "expected"),
    [
        ({1: 100, 2: 180, 4: 300}, 1000, Choice(4, "packed", 3.0)),
        ({1: 100, 2: 190, 4: 195}, 1000, Choice(2, "packed", 1.9)),  # within 5 % of the best, and sooner done
        ({1: 100, 2: 180, 4: 190}, 1000, Choice(4, "packed", 1.9)),
        ({1: 100, 2: 180, 4: 300}, 8617, Choice(2, "packed", 1.8)),  # see test_device_memory: four do not fit
        ({1: 100, 2: 180, 4: 300}, 8616, Choice(4, "packed", 3.0)),
        ({1: 100, 2: 180}, 30000, Choice(1, "memory")),
        ({1: 100, 2: 101, 4: 90}, 1000, Choice(1, "no gain")),
        ({1: 100}, 1000, Choice(1, "not measured")),
        ({2: 180, 4: 300}, 1000, Choice(1, "not measured")),
        ({}, 1000, Choice(1, "not measured")),
    ],
)
def test_the_smallest_number_near_the_best_rate_whose_memory_fits(rates, memory, expected):
    assert choose([row(MIXUP, count, rate, memory) for count, rate in rates.items()], KIND) == expected


def test_each_training_step_has_its_own_number_on_its_own_device():
    grid = real_grid("smoke")
    rows = [row(MIXUP, 1, 100), row(MIXUP, 4, 300), row(CUTMIX, 1, 100), row(CUTMIX, 2, 170)]
    rows += [row(LARGE, 1, 100, device="cpu"), row(LARGE, 2, 200, device="cpu")]
    measured = Measured(grid, [KIND], rows)
    assert {name: measured[name].together for name in (MIXUP, CUTMIX, LARGE)} == {
        MIXUP: 4,
        CUTMIX: 2,
        LARGE: 1,
    }
    assert measured[MIXUP.replace("mce/s0", "dm_ce/s0")].together == 4
    # On devices of two kinds, what the slower choice is.
    two = Measured(grid, [KIND, DeviceKind("cpu", 1e6)], rows)
    assert {two[name].together for name in (MIXUP, CUTMIX, LARGE)} == {1}


def test_one_line_says_which_recipes_are_packed_and_which_are_not_measured():
    grid = real_grid("smoke").restricted([MIXUP, CUTMIX, LARGE, "supervised/cub/resnet18/mixup/mce/s0"])
    rows = [row(MIXUP, 1, 100), row(MIXUP, 4, 300), row(CUTMIX, 1, 100), row(CUTMIX, 2, 170)]
    rows += [row(LARGE, 1, 100), row(LARGE, 2, 100)]
    assert Measured(grid, [KIND], rows).told(["cifar", "imagenet", "finegrained"]) == (
        "packing by results/speed.csv on NVIDIA A100-SXM4-40GB: cifar 2 to 4 runs (1.7 to 3.0 x the images/s "
        "of one); no faster together: imagenet; not measured alone and together: finegrained "
        "(dmix measure --tier smoke --together 1 2 4)"
    )


def test_settings_take_measured_for_all_recipes_or_for_some(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_speeds([row(MIXUP, 1, 100, device="cpu"), row(MIXUP, 3, 200, device="cpu")])
    grid, said = replace(real_grid("smoke")), []
    every = packing("measured", grid, cpu, said.append)
    like_it = {name for name, spec in grid.runs.items() if step_of(spec) == step_of(grid.runs[MIXUP])}
    assert every == dict.fromkeys(like_it, 3)
    # Small images of Tiny-ImageNet are those of CIFAR at this tier; their recipe is not named here.
    cifar = {name: 3 for name in like_it if grid.cells[name].recipe == "cifar"}
    assert MIXUP in cifar
    assert len(cifar) < len(like_it)
    assert packing({"cifar": "measured", "imagenet": 1}, grid, cpu, said.append) == cifar
    assert [line.startswith("packing by results/speed.csv on cpu: cifar ") for line in said] == [True, True]
    assert "imagenet" in said[0]
    assert "imagenet" not in said[1]
    server = read_server({"devices": "cpu:0", "packing": "measured"}, grid, 8, said.append)
    assert server is not None
    assert (server.packed(MIXUP), server.packed(LARGE), server.units) == (3, 1, 3)
    said.clear()
    packing({"cifar": 2}, grid, cpu, said.append)
    assert said == []


def test_another_word_is_refused():
    with pytest.raises(DmixError, match="cifar is 'best'"):
        packing({"cifar": "best"}, real_grid("smoke"), cpu, print)
