"""Whatever ends a job leaves its reason, the place in the code and the log; `dmix status` lists them."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from dmix import cli
from dmix.engine.distributed import World
from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.grid.failure import Failure, failure_of, read_failure
from dmix.grid.paths import RunPaths
from dmix.grid.promise import promise
from dmix.grid.status import HANGS_SECONDS, relation_status, run_status
from dmix.holder import me
from dmix.job import class_relation, recorded, train
from dmix.job.options import Options
from dmix.job.session import Session
from dmix.job.signals import Stop
from dmix.verbs import plan
from job.conftest import NAME
from project import ROOT, Project, small_params

TRAIN = ("train", NAME, "--tier", "smoke")


@pytest.fixture
def paths(tmp_path, monkeypatch) -> RunPaths:
    """The paths of a run, in a folder with the small params.yaml."""
    (tmp_path / "params.yaml").write_text(small_params())
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    return RunPaths("smoke", load_grid("smoke").folders[NAME])


def fail_with(monkeypatch, error: BaseException) -> None:
    def fail(*_) -> int:
        raise error

    monkeypatch.setattr(train, "train", fail)


ERRORS = [
    (torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB"), 1),
    (RuntimeError("shape '[2, 3]' is invalid for input of size 7"), 1),
    (OSError(errno.ENOSPC, "No space left on device"), 1),
    (MemoryError(), 1),
    (ImportError("libcuda.so.1: cannot open"), 1),
    (DmixError("the loss is not finite", "lower recipe.lr", exit_code=1), 1),
    (DmixError("no data", "run dmix data fetch cifar10"), 2),
]


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_every_exception_leaves_its_reason_and_no_traceback(paths, monkeypatch, capsys, error, code):
    fail_with(monkeypatch, error)
    assert cli.main(TRAIN) == code
    shown = capsys.readouterr()
    assert "Traceback" not in shown.out + shown.err
    failure = read_failure(paths.failure)
    reason = str(error).splitlines()[0] if str(error) else "MemoryError"
    assert reason in failure.reason
    assert failure.refused is (code == 2)
    assert failure.reason in shown.err
    if not isinstance(error, DmixError):
        assert failure.reason.startswith(type(error).__name__)
        (place,) = failure.way_out
        assert f"{Path(__file__).name}:" in place
        assert place.endswith("in fail")
        assert failure.log == str(paths.log)
        assert "Traceback (most recent call last)" in paths.log.read_text()
    assert cli.main(["status", "--tier", "smoke"]) == 1
    assert f"failed: {NAME}: {failure.reason}\n" in capsys.readouterr().out
    assert cli.main(["status", "--tier", "smoke", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["failed"]
    assert told == {NAME: {**vars(failure), "way_out": list(failure.way_out)}}


def test_debug_shows_the_traceback_of_any_command(paths, monkeypatch, capsys):
    fail_with(monkeypatch, RuntimeError("broken"))
    assert cli.main([*TRAIN, "--debug"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err

    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(plan, "make_plan", broken)
    assert cli.main(["plan"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert cli.main(["plan", "--debug"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_the_reason_of_a_relation_is_left_too(paths, monkeypatch, capsys):
    name = "relation/cub/resnet18/s0"
    spec = next(iter(load_grid("smoke").runs.values()))
    monkeypatch.setattr("dmix.grid.expand.Grid.class_relations", {name: spec})

    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(class_relation, "relate", broken)
    assert cli.main(["relate", name, "--tier", "smoke"]) == 1
    assert "RuntimeError: broken\n  at " in capsys.readouterr().err
    grid = load_grid("smoke")
    assert relation_status(grid, name).state == "failed"
    assert cli.main(["status", "--tier", "smoke"]) == 1
    assert f"failed: {name}: RuntimeError: broken" in capsys.readouterr().out


def test_a_failure_that_cannot_be_kept_is_told_all_the_same(paths, monkeypatch, capsys):
    fail_with(monkeypatch, RuntimeError("broken"))
    paths.failure.mkdir(parents=True)
    assert cli.main(TRAIN) == 1
    shown = capsys.readouterr().err
    assert "the reason of this failure is not kept: cannot write" in shown
    assert "dmix: RuntimeError: broken" in shown


def session(paths: RunPaths, step: int) -> Session:
    trainer = SimpleNamespace(step=step, total=100, label=NAME, history=[])
    return Session(trainer, paths, Options(), World(0, 1), {})


def test_an_earlier_failure_stays_until_the_run_gets_further(paths):
    error = RuntimeError("broken")
    error.add_note("step 7 of 100")
    paths.work.mkdir(parents=True)
    paths.failure.write_text(f"{failure_of(error, paths.log)}\n")
    again = session(paths, 3)
    for again.trainer.step in range(4, 8):
        assert again.after_step(Stop(), None)
        assert read_failure(paths.failure).step == 7
    again.trainer.step = 8
    assert again.after_step(Stop(), None)
    assert not paths.failure.exists()


def test_a_running_run_tells_its_earlier_failure_and_one_without_steps_is_said_to_hang(paths):
    grid, now = load_grid("smoke"), time.time()
    paths.work.mkdir(parents=True)
    paths.lock.write_text(me().text)
    paths.failure.write_text("it broke\n")
    state = {"step": 7, "total": 100, "loss": None, "seconds_left": None, "host": "node1", "pid": 1}
    paths.progress.write_text(json.dumps(state))
    found = run_status(grid, NAME)
    assert (found.state, found.detail) == ("running", "step 7 of 100, on node1; it failed before: it broke")
    os.utime(paths.progress, (now, now - HANGS_SECONDS - 60))
    found = run_status(grid, NAME)
    assert found.state == "hangs"
    assert found.detail.startswith("no step for 31 minutes; step 7 of 100")


def test_a_refused_job_is_refused_at_once_by_later_attempts_and_tried_by_the_next_workflow(
    paths, monkeypatch, capsys
):
    promised = ("--promise", promise(load_grid("smoke").runs[NAME]))
    fail_with(monkeypatch, DmixError("no data", "get them"))
    assert cli.main([*TRAIN, *promised]) == 2
    fail_with(monkeypatch, AssertionError("it was tried"))
    capsys.readouterr()
    assert cli.main([*TRAIN, *promised, "--attempt", "2"]) == 2
    assert capsys.readouterr().err == "dmix: no data\n  get them\n"

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train", stopped)
    before = paths.failure.stat().st_mtime_ns
    assert cli.main([*TRAIN, *promised]) == 130
    assert paths.failure.stat().st_mtime_ns == before
    assert read_failure(paths.failure) == Failure("no data", ("get them",))
    monkeypatch.setattr(train, "train", lambda *_: 0)
    assert cli.main([*TRAIN, *promised, "--attempt", "2"]) == 0


def test_a_job_of_other_parameters_leaves_its_reason_where_its_log_is(paths):
    """The workflow submitted it for settings that are no longer those of the run."""
    promised = json.loads(promise(load_grid("smoke").runs[NAME]))
    promised["spec"]["objective"]["eta"] = 0.5
    assert cli.main([*TRAIN, "--promise", json.dumps(promised)]) == 2
    (left,) = Path("work").rglob("failure.txt")
    assert "objective.eta: 0.5 -> 0.1" in read_failure(left).reason
    assert left != paths.failure


def test_the_first_of_several_processes_to_fail_is_the_cause(paths, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    fail_with(monkeypatch, RuntimeError("the cause"))
    cli.main(TRAIN)
    fail_with(monkeypatch, RuntimeError("connection closed by peer"))
    cli.main(TRAIN)
    assert read_failure(paths.failure).reason == "RuntimeError: the cause"
    monkeypatch.setattr(recorded, "_STARTED", time.time() + 60)  # the next start
    cli.main(TRAIN)
    assert "connection closed" in read_failure(paths.failure).reason


def test_the_place_of_an_error_is_in_the_users_file_also_in_a_worker(tmp_path):
    with pytest.raises(RuntimeError) as caught:
        torch.zeros(2, 3).reshape(7)
    assert f"{Path(__file__).name}:" in failure_of(caught.value, tmp_path).way_out[0]
    text = (
        "Caught ValueError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
        f'  File "/mine/augment.py", line 12, in __call__\n  File "{torch.__file__}", line 3, in f\n'
        "ValueError: negative side"
    )
    found = failure_of(ValueError(text), tmp_path)
    assert (found.reason, found.way_out) == (
        "ValueError: negative side",
        ("at /mine/augment.py:12 in __call__",),
    )


@pytest.mark.slow
def test_a_bug_in_a_policy_and_a_run_that_is_killed_leave_their_reason(project: Project):
    """In processes: forked from the helper, whose client tells of the one that is killed."""
    command = ("dmix", *TRAIN, "--device", "cpu", "--preload")
    project.edit(
        "src/dmix/policies/cutmix.py",
        "        n, _, height",
        "        labels.view(7, 7)\n        n, _, height",
    )
    done = project.run(*command)
    assert done.returncode == 1
    work = project.path / "work/smoke" / project.folder(NAME)
    failure = read_failure(work / "failure.txt")
    assert "RuntimeError: shape '[7, 7]' is invalid" in failure.reason
    assert failure.way_out[0].startswith("at src/dmix/policies/cutmix.py:")
    assert failure.way_out[1] == "step 0 of 8"
    assert done.stderr == f"dmix: {failure}\n"
    project.edit("src/dmix/policies/cutmix.py", "labels.view(7, 7)", "import os; os.kill(os.getpid(), 9)")
    done = project.run(*command)
    assert done.returncode == 1
    assert "was killed before it finished" in done.stderr
    work = project.path / "work/smoke" / project.folder(NAME)
    assert "was killed before it finished" in read_failure(work / "failure.txt").reason
