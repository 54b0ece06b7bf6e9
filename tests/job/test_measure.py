"""What is measured of a training step, on the CPU."""

from __future__ import annotations

import pytest
import torch

from dmix.engine.trainer import Trainer
from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.grid.speed import read_speeds, step_of
from dmix.job import measure
from project import real_grid

MIXUP = "supervised/cifar100/resnet18/mixup/mce/s0"
OTHERS = (
    "supervised/cub/resnet18/automix/mce/s0",  # files, of which there are none
    "transfer/co_tuning/cub/resnet50/mixup/dm_ce/percent=15/s0",  # weights and a class relation as well
    "semi/fixmatch/cifar10/wrn28_2/mixup/mce/count=20/s0",
)


@pytest.mark.parametrize("name", [MIXUP, *OTHERS])
def test_steps_of_every_method_are_timed_without_any_data(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = real_grid("smoke").runs[name]
    found = measure._measure_one(spec, False, "cpu", 0.01)
    assert found.device == "cpu"
    assert found.steps >= measure.STEPS
    assert found.images_per_s > 0
    assert 0 < found.cold_start_s < 600
    # Weights are in every checkpoint; here they are small beside what torch itself takes.
    assert found.weights_mb <= found.checkpoint_mb < found.memory_mb
    assert list(tmp_path.iterdir()) == []


def test_images_per_second_are_those_of_the_batch(monkeypatch):
    """By a clock that each step moves by a second: 3 warm-up steps, then groups of steps for ten seconds."""
    taken = []
    monkeypatch.setattr(Trainer, "train_step", lambda self: taken.append(1))
    monkeypatch.setattr(measure.time, "perf_counter", lambda: float(len(taken)))
    spec = real_grid("smoke").runs[MIXUP]
    found = measure._measure_one(spec, False, "cpu", 10.0)
    assert found.images_per_s == pytest.approx(spec.settings["recipe"]["batch_size"])
    assert found.cold_start_s == 1.0
    assert found.steps == len(taken) - measure.WARM_UP >= 10


def test_too_little_memory_is_told_by_the_run(monkeypatch):
    def full(self):
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(Trainer, "train_step", full)
    with pytest.raises(DmixError, match=f"{MIXUP}: cpu has too little memory"):
        measure._measure_one(real_grid("smoke").runs[MIXUP], False, "cpu", 0.01)


@pytest.mark.slow
def test_the_command_measures_each_kind_of_step_once_and_the_plan_uses_it(project):
    options = ("--tier", "smoke", "--seeds", "0", "--policies", "mixup")
    first = project.dmix("measure", *options, "--seconds", "0.1", "--device", "cpu", "--together", "1", "2")
    assert first.returncode == 0, first.stderr
    rows = read_speeds(project.path / "results/speed.csv")
    runs = load_grid("smoke", project.path / "params.yaml").runs
    steps = {step_of(spec) for name, spec in runs.items() if "/mixup/" in name and spec.seed == 0}
    assert sorted((str(row.step), row.together) for row in rows) == sorted(
        (str(step), together) for step in steps for together in (1, 2)
    )
    assert {row.data for row in rows} == {"own"}
    again = project.dmix("measure", *options, "--seconds", "0.1", "--device", "cpu", "--together", "1", "2")
    assert again.stdout.startswith("cpu: 0 measurements")
    plan = project.dmix("plan", *options)
    assert "by results/speed.csv" in plan.stdout, plan.stdout + plan.stderr
