"""A killed and resumed run ends bit-identical to an uninterrupted one."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from dmix.record import Record, read_record
from job.conftest import NAME, lengthen
from project import Project

pytestmark = pytest.mark.slow

TRAIN = ("dmix", "train", NAME, "--tier", "smoke", "--device", "cpu")
EVERY_STEP = ("--checkpoint-seconds", "0")


def record_of(project: Project) -> Record:
    return read_record(project.path / "results/smoke/records" / project.folder(NAME) / "record.json")


def history_of(project: Project) -> str:
    return (project.path / "results/smoke/records" / project.folder(NAME) / "history.csv").read_text()


def wait_for_step(project: Project, process: subprocess.Popen[str], step: int) -> int:
    """Wait until the run has saved a step of at least `step`; return the last one saved."""
    checkpoint = project.path / "work/smoke" / project.folder(NAME) / "checkpoint.pt"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if checkpoint.exists():
            saved = torch.load(checkpoint, weights_only=True)["trainer"]["step"]
            if saved >= step:
                return int(saved)
        if process.poll() is not None:
            break
        time.sleep(0.01)
    process.kill()
    raise AssertionError(f"step {step} was not reached: {process.communicate()[0]}")


@dataclass(frozen=True)
class Reference:
    """The same run, never interrupted."""

    project: Project
    record: Record
    history: str


@pytest.fixture(scope="module")
def reference(tmp_path_factory, embedded_data) -> Reference:
    project = Project.create(tmp_path_factory.mktemp("reference") / "project", embedded_data)
    lengthen(project)
    done = project.run(*TRAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    return Reference(project, record_of(project), history_of(project))


def assert_same(record: Record, reference: Reference) -> None:
    assert record.weights_sha256 == reference.record.weights_sha256
    assert record.scores == reference.record.scores


def live_history(project: Project) -> Path:
    return project.path / "work/smoke" / project.folder(NAME) / "history.csv"


def assert_begins(path: Path, reference: Reference, saved: int) -> None:
    """Check that a killed run shows the reference's first rows, at least those up to the last step saved."""
    rows = reference.history.splitlines()
    shown = path.read_text().splitlines() if path.exists() else [rows[0]]
    # The column of accuracies comes late, in the row of the first evaluation.
    missing = "," * (rows[0].count(",") - shown[0].count(","))
    assert rows[0].startswith(shown[0])
    assert [f"{row}{missing}" for row in shown[1:]] == rows[1 : len(shown)]
    assert len(shown) - 1 >= sum(int(row.split(",")[1]) <= saved for row in rows[1:])


def test_killed_at_five_random_steps(long_project: Project, reference):
    seed = int(os.environ.get("DMIX_TEST_SEED", time.time_ns() % 2**32))
    steps = sorted(random.Random(seed).sample(range(1, 225), 5))
    print(f"DMIX_TEST_SEED={seed} kills at {steps}")
    killed = saved = 0
    for step in steps:
        process = long_project.start(*TRAIN, *EVERY_STEP)
        # A step of its own at least: what the one before has saved would be taken for it.
        wait_for_step(long_project, process, max(step, saved + 1))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        saved = wait_for_step(long_project, process, 1)
        assert_begins(live_history(long_project), reference, saved)
        killed += 1
    done = long_project.run(*TRAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    record = record_of(long_project)
    assert record.resumes == killed
    assert_same(record, reference)
    assert history_of(long_project) == reference.history
    assert not live_history(long_project).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_asked_to_stop_it_saves_and_says_again(long_project: Project, reference, number):
    process = long_project.start(*TRAIN, *EVERY_STEP)
    wait_for_step(long_project, process, 5)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 75, output
    assert f"{number.name}: stopped at step" in output
    assert not list(long_project.path.glob("results/**/record.json"))
    work = long_project.path / "work/smoke" / long_project.folder(NAME)
    assert not (work / "lock").exists()
    done = long_project.run(*TRAIN)
    assert "continuing at step" in done.stdout
    assert_same(record_of(long_project), reference)


def test_a_finished_run_exits_at_once_and_gives_back_a_deleted_record(reference):
    project = reference.project
    path = project.path / "results/smoke/records" / project.folder(NAME)
    before = path.joinpath("record.json").stat().st_mtime_ns
    assert project.run(*TRAIN).returncode == 0
    assert path.joinpath("record.json").stat().st_mtime_ns == before
    # Snakemake deletes declared outputs before it starts a job again.
    path.joinpath("record.json").unlink()
    path.joinpath("history.csv").unlink()
    assert project.run(*TRAIN).returncode == 0
    assert record_of(project) == reference.record
    assert history_of(project) == reference.history


def test_a_damaged_checkpoint_is_named(long_project: Project):
    work = long_project.path / "work/smoke" / long_project.folder(NAME)
    work.mkdir(parents=True)
    (work / "checkpoint.pt").write_bytes(b"not a checkpoint")
    done = long_project.run(*TRAIN)
    assert done.returncode == 1
    assert "checkpoint.pt is damaged" in done.stderr
    assert "delete it" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_record_says_how(reference):
    record, history = reference.record, reference.history
    assert record.data_edition == "embedded"
    assert record.hardware.device == "cpu"
    assert record.hardware.threads == 1
    assert record.evaluations == (*range(1, 13),)[2:]
    assert record.score == record.scores[record.primary].median_last10
    last10 = sorted(record.scores["model"].last10)
    assert record.score == pytest.approx((last10[4] + last10[5]) / 2)
    rows = history.splitlines()
    assert len(rows) == 13
    assert float(rows[-1].rpartition(",")[2]) == record.scores["model"].last
    assert json.loads(json.dumps(record.spec))["objective"] == {"use": "dm_ce", "eta": 0.1}


def test_weights_are_those_of_the_record(reference):
    project = reference.project
    folder = project.path / "results/smoke/weights" / project.folder(NAME)
    found = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    assert found == reference.record.weights_sha256
