"""The memory of a training process: as measured, as finished runs had, or by the documented estimate."""

from __future__ import annotations

import importlib
import math
from dataclasses import replace

import pytest

from dmix.errors import DmixError
from dmix.grid import memory
from dmix.grid.finished import Outcome
from dmix.grid.gpus import read_gpu
from dmix.grid.memory import Memories, Memory, estimated_mb, read_activations
from dmix.grid.speed import Speed, step_of
from project import ROOT, real_grid

RESNET = "supervised/imagenet/resnet50/mixup/mce/s0"  # 4 shards of 64
AUTOMIX = "supervised/imagenet/resnet50/automix/mce/s0"
RSB = "supervised/imagenet/resnet50/mixup/mbce_one/s0"  # 4 shards of 512 with common statistics, fp16, 160 px
SWIN = "supervised/imagenet/swin_tiny/mixup/mce/s0"  # 8 shards of 128, fp16
H100 = "NVIDIA H100 80GB HBM3"


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def measured(name: str, mb: float, device: str = H100, together: int = 1) -> Speed:
    step = step_of(real_grid("full").runs[name])
    return Speed(device, step, together, "noise", 900.0, mb, 9.0, 100.0, 300.0, 99, "2.13.0", name)


def test_measured_goes_before_finished_before_estimated():
    grid, gpu = real_grid("full"), read_gpu("h100")
    done = {RESNET: Outcome("", 900.0, device=H100, memory_mb=7000.0, parameters=25_000_000)}
    other = RESNET.replace("s0", "s1")
    assert Memories(grid, gpu, [measured(RESNET, 8000.0)], done).of(other, 1) == Memory(8000.0, "measured")
    assert Memories(grid, gpu, [], done).of(other, 1) == Memory(7000.0, "finished")
    not_here = [measured(RESNET, 8000.0, "cpu"), measured(RESNET, 8000.0, together=2)]
    elsewhere = {RESNET: replace(done[RESNET], device="cpu")}
    expected = Memory(estimated_mb(grid, grid.runs[other], 1), "estimated")
    assert Memories(grid, gpu, not_here, elsewhere).of(other, 1) == expected


def test_shards_one_after_the_other_need_the_memory_of_one_and_synchronised_ones_that_of_all():
    grid, gpu = real_grid("full"), read_gpu("h100")
    memories = Memories(grid, gpu, [measured(RESNET, 8000.0), measured(RSB, 40400.0)], {})
    assert [memories.of(RESNET, count).mb for count in (1, 2, 4)] == [8000.0] * 3
    # 400 MiB are weights, gradients and moments; a process with half the shards has half of the rest.
    assert [memories.of(RSB, count).mb for count in (1, 2, 4)] == [40400.0, 20400.0, 10400.0]
    parameters = 2**20 * 25
    done = {RSB: Outcome("", 900.0, 2, device=H100, memory_mb=20400.0, parameters=parameters)}
    found = Memories(grid, gpu, [], done)
    assert [found.of(RSB, count).mb for count in (1, 2, 4)] == [40400.0, 20400.0, 10400.0]


def test_the_estimate_is_activations_batch_and_state():
    grid = real_grid("full")
    of_parameters = 25.6e6 * 4 / 2**20
    # One shard at a time; one process of four shards keeps the batch and two more copies of the gradients.
    activations = 64 * 81.93 * 1.5
    assert estimated_mb(grid, grid.runs[RESNET], 4) == pytest.approx(
        activations + 64 * 3 * 224**2 * 4 / 2**20 + 4 * of_parameters
    )
    assert estimated_mb(grid, grid.runs[RESNET], 1) == pytest.approx(
        activations + 256 * 3 * 224**2 * 4 / 2**20 + 6 * of_parameters
    )
    # AutoMix has nine passes in place of three.
    of_automix = estimated_mb(grid, grid.runs[AUTOMIX], 4) - estimated_mb(grid, grid.runs[RESNET], 4)
    assert of_automix == pytest.approx(2 * activations)
    # Synchronised: all shards of the process at once, in half precision, scaled by area.
    assert estimated_mb(grid, grid.runs[RSB], 2) == pytest.approx(
        1024 * 81.93 * (160 / 224) ** 2 * 1.5 / 2 + 1024 * 3 * 160**2 * 4 / 2**20 + 4 * of_parameters
    )
    assert estimated_mb(grid, grid.runs[SWIN], 8) == pytest.approx(
        128 * 101.69 * 1.5 / 2 + 128 * 3 * 224**2 * 4 / 2**20 + 4 * 28.3e6 * 4 / 2**20
    )


def test_networks_that_the_file_has_not_go_by_their_operations(monkeypatch):
    grid = real_grid("full")
    known = estimated_mb(grid, grid.runs[RESNET], 4)
    monkeypatch.setattr(memory, "read_activations", dict)
    gained = 64 * (8.22 * 13.0 - 81.93) * 1.5
    assert estimated_mb(grid, grid.runs[RESNET], 4) == pytest.approx(known + gained)


def test_the_file_has_what_the_benchmark_counts(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    spec = real_grid("full").runs["supervised/cifar100/resnet18/mixup/mce/s0"]
    counted = importlib.import_module("activations").mb_per_image(spec)
    assert counted == pytest.approx(read_activations()["resnet18"][32], abs=0.005)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,32,0", "mb_per_image is '0'"),
        ("a,x,1", "side is 'x'"),
        ("a,64,1\na,64,2", "a at 64 pixels is given twice"),
    ],
)
def test_wrong_lines_are_named(line, message, tmp_path):
    path = tmp_path / "activations.csv"
    path.write_text(f"backbone,side,mb_per_image\n{line}\n")
    with pytest.raises(DmixError, match=message):
        read_activations(path)


def test_the_fallback_is_the_largest_ratio_of_the_file():
    gflop = {name: entry.forward_gflop for name, entry in real_grid("full").params.backbones.items()}
    most = max(
        mb / (known[near] * (side / near) ** 2)
        for name, sides in read_activations().items()
        for side, mb in sides.items()
        for known in (gflop[name],)
        for near in (min(known, key=lambda other: abs(math.log(other / side))),)
    )
    assert math.ceil(most) == memory.MB_PER_GFLOP
