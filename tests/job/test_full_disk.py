"""A disk that is full for a while ends no run; one that stays full is told once, nothing half-written."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from types import SimpleNamespace

import pytest
import torch

from dmix import lock
from dmix.engine.distributed import World
from dmix.files import CannotWrite, write_text
from dmix.grid.paths import RunPaths
from dmix.holder import me
from dmix.job import checkpoint, patience, say
from dmix.job.options import Options
from dmix.job.session import Session
from dmix.job.signals import Stop
from dmix.job.watch import Watch
from job.conftest import NAME
from project import Project

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def paths(tmp_path, monkeypatch) -> RunPaths:
    monkeypatch.chdir(tmp_path)
    return RunPaths("smoke", "a/s0-00000000-00000000")


def trainer(**more):
    course = SimpleNamespace(epoch=10)
    cpu = torch.device("cpu")
    return SimpleNamespace(
        step=1, total=100, label=NAME, history=[], last_loss=None, course=course, device=cpu, **more
    )


def test_a_checkpoint_that_cannot_be_written_is_tried_again_at_the_next_interval(paths, monkeypatch, capsys):
    here = Session(trainer(state_dict=dict), paths, Options(checkpoint_seconds=0), World(0, 1), {})
    real = checkpoint.save

    def full(path, state):
        raise CannotWrite(path, FULL)

    monkeypatch.setattr(checkpoint, "save", full)
    for _ in range(3):
        assert here.after_step(Stop(), None)
    told = capsys.readouterr().out
    assert told.count("No space left on device; the run goes on, and saves when it can") == 1
    monkeypatch.setattr(checkpoint, "save", real)
    assert here.after_step(Stop(), None)
    assert checkpoint.load(paths.checkpoint, torch.device("cpu"))["trainer"] == {}


def test_torch_save_on_a_full_disk_is_one_message_and_keeps_the_checkpoint_before(paths, monkeypatch):
    """Its writer raises an error of its own, which is no OSError."""
    checkpoint.save(paths.checkpoint, {"step": 1})
    sizes = {"RLIMIT_FSIZE": 2000}
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (sizes["RLIMIT_FSIZE"], before[1]))
    try:
        with pytest.raises(CannotWrite, match=r"checkpoint\.pt: File too large"):
            checkpoint.save(paths.checkpoint, {"step": torch.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert checkpoint.load(paths.checkpoint, torch.device("cpu")) == {"step": 1}
    assert [path.name for path in paths.work.iterdir()] == ["checkpoint.pt"]


def test_progress_and_heartbeat_may_fail(paths, monkeypatch, capsys):
    paths.work.mkdir(parents=True)
    with monkeypatch.context() as full, Watch(NAME, trainer(), paths.progress) as watch:
        full.setattr("pathlib.Path.write_text", lambda *_: (_ for _ in ()).throw(FULL))
        watch._file_due = 0.0
        watch.update()
    assert capsys.readouterr().out.count("No space left on device; the run goes on") == 1
    assert not list(paths.work.iterdir())
    content = me().text.encode()
    paths.lock.write_bytes(content)
    beats = []

    def failing(path):
        beats.append(path)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "utime", failing)
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.01)
    stop = SimpleNamespace(wait=lambda seconds: len(beats) == 3, is_set=lambda: False)
    lock._beat(paths.lock, content, stop)
    assert len(beats) == 3


def show(session: Session, step: int) -> None:
    """Let the trainer of a session end a row."""
    session.trainer.step = step
    session.trainer.history.append({"step": step, "loss": 0.5})
    assert session.after_step(Stop(), None)


def test_a_history_that_cannot_be_shown_is_told_once_and_comes_whole_later(paths, monkeypatch, capsys):
    paths.work.mkdir(parents=True)
    here = Session(trainer(), paths, Options(), World(0, 1), {})
    with monkeypatch.context() as full:
        full.setattr("pathlib.Path.write_text", lambda *_: (_ for _ in ()).throw(FULL))
        for step in (1, 2):
            show(here, step)
    assert capsys.readouterr().out.count("No space left on device; the run goes on") == 1
    assert not list(paths.work.iterdir())
    show(here, 3)
    assert paths.live_history.read_text() == "step,loss\n1,0.5\n2,0.5\n3,0.5\n"


def test_a_line_that_cannot_be_printed_ends_no_run():
    with open("/dev/full", "w") as full:
        say.say("step 3", full)
        with pytest.raises(OSError, match="No space left"):
            full.close()


def test_products_are_tried_again_and_refused_in_one_message(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    left = [2]

    def write():
        if left[0]:
            left[0] -= 1
            raise CannotWrite(tmp_path / "record.json", FULL)
        write_text(tmp_path / "record.json", "new")
        return "written"

    assert patience.patiently(write, 100.0, lambda: True) == "written"
    assert capsys.readouterr().out.count("\n") == 1
    for seconds, go_on in ((0.0, True), (100.0, False)):
        left[0] = 10
        with pytest.raises(CannotWrite, match="No space left"):
            patience.patiently(write, seconds, lambda go_on=go_on: go_on)
    left[0] = 10
    monkeypatch.setattr(FULL, "errno", errno.EACCES)  # will not pass by itself
    with pytest.raises(CannotWrite):
        patience.patiently(write, 100.0, lambda: True)
    assert left[0] == 9


FILL = """
set -e
mkdir work results; mount -t tmpfs -o size=3m tmpfs work; mount -t tmpfs -o size=3m tmpfs results
dmix train {name} --tier smoke --device cpu --checkpoint-seconds 0 >log 2>&1 & run=$!
until ls work/smoke/*/*/*/*/*/*/progress.json >/dev/null 2>&1; do sleep 0.05; done
dd if=/dev/zero of=work/fill bs=4k 2>/dev/null || true
dd if=/dev/zero of=results/fill bs=4k 2>/dev/null || true
sleep 3; rm work/fill results/fill
wait $run
find work results -type f -printf '%f\\n' | sort
"""


@pytest.mark.slow
def test_a_run_outlives_disks_that_are_full_for_three_seconds(long_project: Project):
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    done = long_project.run("unshare", "-m", "bash", "-c", FILL.format(name=NAME))
    log = (long_project.path / "log").read_text()
    assert done.returncode == 0, log
    assert "No space left on device" in log
    assert "top-1" in log
    assert set(done.stdout.split()) == {
        "history.csv", "meanings.json", "record.json", "spec.json", "weights.safetensors"
    }, done.stdout  # fmt: skip
