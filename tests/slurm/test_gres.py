"""Which GPUs a job asks SLURM for: whole ones, or shards of one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dmix.errors import DmixError
from dmix.grid.speed import Speed, step_of, write_speeds
from dmix.slurm.gres import Gres
from dry_runs import dry_run
from project import ROOT, Project, real_grid

MIXUP = "supervised/cifar100/resnet18/mixup/mce/s0"
CUTMIX = "supervised/cifar100/resnet18/cutmix/mce/s0"
CUB = "supervised/cub/resnet18/mixup/mce/s0"


def asked(settings: dict[str, object], run: str, processes: int = 1) -> str:
    return Gres(settings, real_grid("smoke"), print).of(run, processes)


def test_without_shards_a_job_asks_for_as_many_gpus_as_it_has_processes():
    assert [asked({}, MIXUP, count) for count in (1, 2, 8)] == ["gpu:1", "gpu:2", "gpu:8"]


@pytest.mark.parametrize(
    ("packed", "expected"), [(1, "shard:8"), (2, "shard:4"), (3, "shard:3"), (8, "shard:1"), (9, "shard:1")]
)
def test_a_packed_run_asks_for_its_part_of_the_shards_and_no_less(packed, expected):
    settings = {"shards_per_gpu": 8, "packing": {"cifar": packed}}
    assert asked(settings, MIXUP) == expected
    assert asked(settings, CUB) == "shard:8"
    assert asked(settings, "relation/of/no/run") == "shard:8"
    assert asked(settings, MIXUP, 4) == "gpu:4"


def test_measurements_are_those_of_the_gpu_that_the_settings_name(tmp_path, monkeypatch):
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    step = step_of(real_grid("smoke").runs[MIXUP])
    write_speeds(
        Speed(device, step, count, "noise", 100.0 * gain, 900.0, 1.0, 1.0, 2.0, 9, "2.13.0", MIXUP)
        for device, gain in (("NVIDIA A100-SXM4-80GB", 2), ("Tesla T4", 1))
        for count, gain in ((1, 1), (2, gain))
    )
    settings = {"shards_per_gpu": 4, "packing": "measured"}
    assert asked({**settings, "gpu": "a100"}, MIXUP) == "shard:2"
    assert asked({**settings, "gpu": "t4"}, MIXUP) == "shard:4"
    with pytest.raises(DmixError, match="which nothing names"):
        asked(settings, MIXUP)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"packing": {"cifar": 2}}, "by its shards"),
        ({"shards_per_gpu": "four"}, "shards_per_gpu in settings.yaml of the profile is 'four'"),
        ({"shards_per_gpu": -1}, "is -1"),
        ({"shards_per_gpu": 4, "packing": {"cifra": 2}}, "names no recipe: cifra"),
    ],
)
def test_bad_settings_are_refused_with_a_way_out(settings, message):
    with pytest.raises(DmixError) as caught:
        asked(settings, MIXUP)
    assert message in caught.value.message
    assert caught.value.way_out


@pytest.mark.slow
def test_the_workflow_submits_packed_runs_with_their_shards(tmp_path: Path, embedded_data: Path):
    project = Project.create(tmp_path / "project", embedded_data)
    settings = project.path / "workflows/profiles/slurm/settings.yaml"
    settings.write_text(f"{settings.read_text()}\npacking: {{cifar: 2}}\nshards_per_gpu: 4\n")
    # A rule's message stands in place of its resources.
    project.edit("workflows/rules/train.smk", '    message:\n        "Train {params.name}"\n', "")
    options = ("-n", "--profile", "workflows/profiles/slurm", "--config", "tier=smoke")
    done = dry_run(project.path, project.environment, *options)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    jobs = re.findall(r"(?m)^rule train:(?:\n    .*)*?\n    resources: .*gres=([^,\s]+)", text)
    assert jobs == ["shard:2"] * len(jobs)
    assert len(jobs) > 3
