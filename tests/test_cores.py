"""Decoding takes the cores of the job, and not those of the machine."""

from __future__ import annotations

import builtins
import io
import os

import pytest

from dmix import cli, cores
from dmix.data.obtain import verify
from dmix.errors import DmixError
from dmix.job import options

MACHINE = 64


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine with 64 cores and no limit."""
    for name in (cores.SLURM, cores.LOKY, "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: MACHINE)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(MACHINE)), raising=False)
    quota(monkeypatch, "max 100000")


def quota(monkeypatch, text: str) -> None:
    """Let the cgroup's file say `text`."""
    name = "/sys/fs/cgroup/cpu.max"
    exists, real = os.path.exists, builtins.open
    monkeypatch.setattr(os.path, "exists", lambda path: path == name or exists(path))
    monkeypatch.setattr(
        builtins,
        "open",
        lambda path, *more, **named: io.StringIO(text) if path == name else real(path, *more, **named),
    )


LIMITS = {
    "none": (lambda patch: None, MACHINE),
    "affinity": (lambda patch: patch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 9}), 3),
    "quota": (lambda patch: quota(patch, "250000 100000"), 3),
    "slurm": (lambda patch: patch.setenv(cores.SLURM, "4"), 4),
    "slurm has more": (lambda patch: patch.setenv(cores.SLURM, "400"), MACHINE),
    "joblib's": (lambda patch: patch.setenv(cores.LOKY, "2"), 2),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_every_limit_counts(limit, monkeypatch):
    do, expected = LIMITS[limit]
    do(monkeypatch)
    assert cores.job_cores() == expected
    assert options.own_cores() == expected
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)  # as torchrun does
    assert options.own_cores() == max(1, expected // 2)


def test_a_system_without_affinity_will_do(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert 1 <= cores.job_cores() <= MACHINE


@pytest.mark.parametrize("name", [cores.SLURM, cores.LOKY])
@pytest.mark.parametrize("value", ["", "0", "-3", "2(x4)", "²"])
def test_a_limit_that_is_no_number_is_named(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(DmixError, match=name):
        cores.job_cores()


def test_data_verify_decodes_on_the_cores_of_the_job(monkeypatch, capsys):
    monkeypatch.setenv(cores.SLURM, "4")
    monkeypatch.setattr(verify, "verify", lambda name, folder, load, workers: f"{name} by {workers}")
    assert cli.main(["data", "verify", "cub"]) == 0
    assert capsys.readouterr().out == "cub by 4\n"
