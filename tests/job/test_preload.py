"""A run forked from the preloaded helper is the run of its own process."""

from __future__ import annotations

import signal
import time

import pytest

from dmix.record import read_record
from job.conftest import NAME
from project import Project

TRAIN = ("dmix", "train", NAME, "--tier", "smoke", "--device", "cpu")


@pytest.mark.slow
def test_the_record_is_that_of_an_unpacked_run(project: Project):
    path = project.path / "results/smoke/records" / project.folder(NAME) / "record.json"
    records = []
    for extra in ((), ("--preload",)):
        done = project.run(*TRAIN, *extra)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{NAME}: top-1" in done.stdout
        records.append(read_record(path))
        for root in ("results", "work"):
            project.run("rm", "-rf", root)
    alone, forked = records
    same = {"weights_sha256", "scores", "spec", "code_digest", "hardware", "versions", "precision"}
    differs = {name for name in same if getattr(alone, name) != getattr(forked, name)}
    assert differs <= {"hardware"}
    assert alone.hardware.model_dump(exclude={"peak_memory_mb"}) == forked.hardware.model_dump(
        exclude={"peak_memory_mb"}
    )


@pytest.mark.slow
def test_status_and_message_of_a_failure_come_through(project: Project):
    done = project.run("dmix", "train", NAME, "--tier", "full", "--device", "cpu", "--preload")
    assert done.returncode == 2
    assert "run dmix data fetch cifar10" in done.stderr


def test_a_signal_reaches_the_run(long_project: Project):
    process = long_project.start(*TRAIN, "--preload", "--checkpoint-seconds", "0")
    checkpoint = long_project.path / "work/smoke" / long_project.folder(NAME) / "checkpoint.pt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 75, output
    assert "SIGTERM: stopped at step" in output


@pytest.mark.slow
def test_a_run_whose_client_dies_saves_and_stops(long_project: Project):
    process = long_project.start(*TRAIN, "--preload", "--checkpoint-seconds", "0")
    work = long_project.path / "work/smoke" / long_project.folder(NAME)
    deadline = time.monotonic() + 120
    while not (work / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    while (work / "lock").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not (work / "lock").exists()
    assert (work / "checkpoint.pt").exists()
    assert not list(long_project.path.glob("results/**/record.json"))


def test_an_edit_gets_a_new_helper(project: Project):
    script = "from dmix.job.preload import helper_address; print(helper_address())"
    before = project.run("python", "-c", script).stdout
    project.edit("src/dmix/policies/cutmix.py", '"""CutMix', '"""Cut-Mix')
    assert project.run("python", "-c", script).stdout != before
