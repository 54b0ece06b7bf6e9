"""A run in two processes as a command: one record, one stop, one state."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest
import torch

from dmix.record import read_record
from job.conftest import NAME, lengthen
from project import NO_RULES, Project
from several_processes import free_port

TRAIN = ("train", NAME, "--tier", "smoke", "--device", "cpu", "--preload")


@pytest.fixture(scope="module")
def project(tmp_path_factory, embedded_data) -> Project:
    """One for all tests: its preloaded helper takes seconds to start."""
    project = Project.create(tmp_path_factory.mktemp("torchrun") / "project", embedded_data)
    lengthen(project)
    rule = "{set: {recipe.shards: 2}, when: {policy: [mixup, cutmix]}, why: for two processes}"
    project.edit("params.yaml", NO_RULES, f"overrides: [{rule}] # ordered")
    return project


def work_of(project):
    return project.path / "work/smoke" / project.folder(NAME)


def products(project):
    folder = project.path / "results/smoke/records" / project.folder(NAME)
    return read_record(folder / "record.json"), (folder / "history.csv").read_text()


def start_two(project, *more):
    """Start what torchrun starts, without the seconds that it takes itself."""
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    return [
        subprocess.Popen(
            ["dmix", *TRAIN, *more],
            cwd=project.path,
            env={**project.environment, **address, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]


def end(processes):
    outputs = [process.communicate(timeout=200)[0] for process in processes]
    return [process.returncode for process in processes], outputs


def wait_for_checkpoint(project, processes):
    deadline = time.monotonic() + 120
    while not (work_of(project) / "checkpoint.pt").exists():
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in processes), end(processes)
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def fresh(project):
    yield
    project.run("rm", "-rf", "results", "work")


@pytest.mark.slow
def test_torchrun_writes_one_record_and_a_stopped_run_continues_to_it(project: Project):
    done = project.run("torchrun", "--standalone", "--nproc-per-node", "2", "-m", "dmix.cli", *TRAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"{NAME}: top-1") == 1
    whole, whole_history = products(project)
    assert not (work_of(project) / "lock").exists()
    assert end(start_two(project)) == ([0, 0], ["", ""])  # a finished run says nothing and does nothing
    project.run("rm", "-rf", "results", "work")

    processes = start_two(project, "--checkpoint-seconds", "0")
    wait_for_checkpoint(project, processes)
    processes[1].send_signal(signal.SIGTERM)  # not the one that writes
    codes, outputs = end(processes)
    assert codes == [75, 75], outputs
    assert f"{NAME}: SIGTERM: stopped at step" in outputs[0]
    assert "saved; the same command continues" in outputs[0]
    assert outputs[1] == ""
    state = torch.load(work_of(project) / "checkpoint.pt", weights_only=True)["trainer"]
    assert 0 < state["step"] < 240
    assert len(state["generators"]) == 2

    alone = project.dmix(*TRAIN)  # one process continues what two began
    assert alone.returncode == 0, alone.stdout + alone.stderr
    assert "continuing at step" in alone.stdout
    record, history = products(project)
    assert (record.weights_sha256, record.scores, record.resumes) == (whole.weights_sha256, whole.scores, 1)
    assert history == whole_history
    assert (whole.hardware.processes, record.hardware.processes) == (2, 1)


@pytest.mark.slow
def test_more_processes_than_shards_are_refused(project: Project):
    done = project.run("torchrun", "--standalone", "--nproc-per-node", "3", "-m", "dmix.cli", *TRAIN)
    assert done.returncode != 0
    assert "3 processes cannot share a batch of 2 shards (recipe.shards) equally" in done.stdout + done.stderr


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_told_once(project: Project):
    (project.path / "results").write_text("")
    codes, outputs = end(start_two(project))
    assert codes == [1, 1]
    assert "cannot write to results" in outputs[0]
    assert outputs[1] == ""
