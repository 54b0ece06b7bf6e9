"""Jobs are followed by what a squeue on PATH says: outages, ends of every kind, refusals, earlier drivers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from dmix.grid.failure import read_failure
from dmix.slurm.executor import Executor, Following
from dmix.slurm.job_facts import comment_of
from dmix.slurm.queue import ENDED, SEPARATOR, parse

NAME = "supervised/cifar10/resnet18/cutmix/mce/s0"
COMMENT = "rule_train_wildcards_"


class Slurm:
    """A queue as squeue prints it; None where the controller does not answer."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = folder / "queue"
        (folder / "bin").mkdir()
        for name, does in (
            ("squeue", f"exec cat {self.file}"),
            ("sinfo", "echo 'down*'"),
            (
                "scontrol",
                f'echo "$@" >>{folder}/asked; test ! -e {folder}/refuses || {{ echo no >&2; exit 1; }}',
            ),
            ("scancel", f'echo scancel "$@" >>{folder}/asked'),
        ):
            program = folder / "bin" / name
            program.write_text(f"#!/bin/sh\n{does}\n")
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")

    def says(self, *lines: str) -> None:
        """Make squeue print lines of number|state|node|reason, as jobs of run "a" that were started here."""
        self.prints(*(f"{line}|{Path.cwd()}|{COMMENT}a" for line in lines))

    def prints(self, *lines: str) -> None:
        """Make squeue print lines of all that is asked for."""
        self.file.write_text("".join(f"{line.replace('|', SEPARATOR)}\n" for line in lines))

    def asked(self) -> list[str]:
        """Return what was asked of scontrol and scancel."""
        file = self.file.with_name("asked")
        return file.read_text().splitlines() if file.exists() else []

    def silent(self) -> None:
        self.file.unlink(missing_ok=True)


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> Slurm:
    monkeypatch.chdir(tmp_path)
    return Slurm(tmp_path, monkeypatch)


class Driver:
    """An executor as Snakemake makes it, without the thread that asks, and what it did."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.stopped: list[str] = []
        made = object.__new__(Executor)
        made.following = Following()
        made._submitted_job_clusters = {}
        made.slurm_logdir = Path("logs")
        made.logger = logging.getLogger("test_executor")
        made.status_rate_limiter = contextlib.nullcontext()  # works with `async with`, too
        made.active_jobs, made.lock = [], contextlib.nullcontext()
        made._next_seconds_between_status_checks = 20
        made._job_submission_executor = SimpleNamespace(
            submit=lambda call, job: self.done.append(f"again {job.params.name}")
        )
        scheduler = SimpleNamespace(
            submit_callback=lambda job: None,
            finish_callback=lambda job: self.done.append(f"finished {job.params.name}"),
            error_callback=lambda job: self.done.append(f"failed {job.params.name}"),
            executor_error_callback=lambda error: self.stopped.append(str(error)),
        )
        made.workflow = SimpleNamespace(
            scheduler=scheduler,
            workdir_init=str(Path.cwd()),
            executor_settings=SimpleNamespace(
                init_seconds_before_status_checks=20, keep_successful_logs=False
            ),
        )
        self.executor = made

    def submit(self, number: str, name: str = "a") -> Any:
        work = Path("work") / name
        work.mkdir(parents=True, exist_ok=True)
        job = SimpleNamespace(
            name="train",
            wildcards=[name],
            output=[f"results/{name}/record.json"],
            log=[str(work / "log.txt")],
            params=SimpleNamespace(name=name),
            resources={"gres": "gpu:1", "mem_mb": 2000, "runtime": 60},
            threads=1,
            attempt=1,
            restart_times=2,
            log_error=lambda *_, **__: None,
            register=lambda external_jobid: None,
        )
        info = SubmittedJobInfo(job, external_jobid=number, aux={"slurm_logfile": work / "slurm.log"})
        self.executor.report_job_submission(info)
        return info

    def look(self, *jobs: SubmittedJobInfo) -> list[str]:
        """Ask once for the state of the jobs; return the numbers of those that go on."""

        async def ask() -> list[str]:
            return [str(job.external_jobid) async for job in self.executor.check_active_jobs(list(jobs))]

        return asyncio.run(ask())


def touched(path: Path) -> None:
    """Write a file with another time than it had."""
    path.write_text("x")
    now = time.time_ns()
    os.utime(path, ns=(now, now + 1))


def test_squeue_lines_are_read_with_separators_in_the_reason():
    text = "12#RUNNING#g1#None#/a b#\n13#PENDING##(a|b)#/#c|d # e\nnonsense\n"
    found = parse(text.replace("#", SEPARATOR))
    assert (found["12"].state, found["12"].node, found["12"].folder) == ("RUNNING", "g1", "/a b")
    assert (found["13"].reason, found["13"].comment) == ("(a|b)", f"c|d {SEPARATOR} e")
    assert len(found) == 2


def test_no_job_is_lost_while_the_controller_is_silent(slurm):
    driver = Driver()
    first, second = driver.submit("1"), driver.submit("2", "b")
    slurm.silent()
    assert driver.look(first, second) == ["1", "2"]
    assert driver.look(first, second) == ["1", "2"]
    slurm.says("1|COMPLETED|g1|None", "2|RUNNING|g1|None")
    assert driver.look(first, second) == ["2"]
    assert driver.done == ["finished a"]


@pytest.mark.parametrize("state", sorted({*ENDED} - {"OUT_OF_MEMORY"}))
def test_a_run_that_saved_goes_on_in_another_job_and_keeps_the_reason(slurm, state):
    driver = Driver()
    job = driver.submit("1")
    touched(Path("work/a/checkpoint.pt"))
    slurm.says(f"1|{state}|g2|None")
    assert driver.look(job) == []
    assert driver.done == ["again a"]
    failure = read_failure(Path("work/a/failure.txt"))
    assert failure is not None
    assert failure.reason == f"SLURM job 1 on g2: {state}"
    assert not failure.refused


def test_a_run_that_saved_nothing_new_failed(slurm):
    Path("work/a").mkdir(parents=True)
    touched(Path("work/a/checkpoint.pt"))
    driver = Driver()
    job = driver.submit("1")
    slurm.says("1|TIMEOUT|g2|TimeLimit")
    assert driver.look(job) == []
    assert driver.done == ["failed a"]
    assert "TIMEOUT" in Path("work/a/failure.txt").read_text()


def test_a_run_out_of_memory_is_an_attempt_of_the_workflow_which_asks_for_more(slurm):
    driver = Driver()
    job = driver.submit("1")
    touched(Path("work/a/checkpoint.pt"))
    slurm.says("1|OUT_OF_MEMORY|g2|OutOfMemory")
    driver.look(job)
    assert driver.done == ["failed a"]
    assert "OUT_OF_MEMORY" in Path("work/a/failure.txt").read_text()


def test_a_run_that_gave_its_own_reason_keeps_it(slurm):
    driver = Driver()
    job = driver.submit("1")
    touched(Path("work/a/checkpoint.pt"))
    Path("work/a/failure.txt").write_text("the loss is not finite\n")
    slurm.says("1|FAILED|g2|NonZeroExitCode")
    driver.look(job)
    assert driver.done == ["failed a"]
    assert Path("work/a/failure.txt").read_text() == "the loss is not finite\n"


@pytest.mark.parametrize("line", ["1|NODE_FAIL|g2|None", "1|PREEMPTED|g2|None"])
def test_slurm_has_time_to_queue_a_job_again(slurm, line):
    driver = Driver()
    job = driver.submit("1")
    slurm.says("1|RUNNING|g2|None")
    driver.look(job)
    slurm.says(line)
    assert driver.look(job) == ["1"]
    slurm.says("1|PENDING||BeginTime")
    assert driver.look(job) == ["1"]
    assert driver.done == []
    assert "SLURM job 1 on g2: NODE_FAIL" in Path("work/a/failure.txt").read_text()


def test_a_state_that_stays_is_the_end(slurm):
    driver = Driver()
    job = driver.submit("1")
    slurm.says("1|NODE_FAIL|g2|None")
    assert driver.look(job) == ["1"]
    assert driver.look(job) == []
    assert driver.done == ["failed a"]


BY_SLURM = ("launch failed requeued held", "launch_failed_requeued_held", "job requeued in held state")
BY_SOMEBODY = ("JobHeldUser", "JobHeldAdmin")
NEVER = ("BadConstraints", "PartitionTimeLimit", "AccountNotAllowed", "QOSMaxMemoryPerJob")
BY_ITSELF = (
    "Resources",
    "Priority",
    "BeginTime",
    "None",
    "ReqNodeNotAvail,_UnavailableNodes:g1",
    "Dependency",
)


@pytest.mark.parametrize("reason", BY_SLURM)
def test_a_job_that_slurm_holds_is_released_and_fails_after_three_times(slurm, caplog, reason):
    driver = Driver()
    job = driver.submit("1")
    slurm.says("1|RUNNING|g1|None")
    assert driver.look(job) == ["1"]
    for count in (1, 2, 3):
        slurm.says(f"1|PENDING||{reason}")
        assert driver.look(job) == ["1"]
        assert slurm.asked() == ["release 1"] * count
        assert f"SLURM job 1: held: {reason}" in Path("work/a/failure.txt").read_text()
        slurm.says("1|PENDING||Resources")
        assert driver.look(job) == ["1"]
    assert driver.done == []
    assert len(caplog.records) == 4  # it was also told that the running job was queued again
    slurm.says(f"1|PENDING||{reason}")
    assert driver.look(job) == []
    assert driver.done == ["failed a"]
    assert slurm.asked()[3:] == ["scancel 1"]
    assert "3 times in vain" in Path("work/a/failure.txt").read_text()


def test_a_job_that_was_released_runs_on_and_its_run_is_not_taken_for_failed(slurm):
    driver = Driver()
    job = driver.submit("1")
    slurm.says(f"1|PENDING||{BY_SLURM[0]}")
    assert driver.look(job) == ["1"]
    slurm.says("1|RUNNING|g2|None")
    assert driver.look(job) == ["1"]
    touched(Path("work/a/checkpoint.pt"))
    slurm.says("1|TIMEOUT|g2|TimeLimit")
    assert driver.look(job) == []
    assert driver.done == ["again a"]


def test_a_refused_release_is_told_in_scontrols_words(slurm):
    slurm.file.with_name("refuses").touch()
    driver = Driver()
    job = driver.submit("1")
    slurm.says(f"1|PENDING||{BY_SLURM[0]}")
    assert driver.look(job) == ["1"]
    assert "cannot be released: no" in Path("work/a/failure.txt").read_text()


@pytest.mark.parametrize("reason", [*BY_SOMEBODY, *NEVER])
def test_a_job_that_waits_for_somebody_is_told_once_and_left_alone(slurm, caplog, reason):
    driver = Driver()
    job = driver.submit("1")
    slurm.says(f"1|PENDING||{reason}")
    for _ in range(3):
        assert driver.look(job) == ["1"]
    assert [reason in record.getMessage() for record in caplog.records] == [True]
    assert slurm.asked() == []
    assert reason in Path("work/a/failure.txt").read_text()
    slurm.says("1|COMPLETED|g1|None")
    assert driver.look(job) == []
    assert driver.done == ["finished a"]


@pytest.mark.parametrize("reason", BY_ITSELF)
def test_a_job_that_waits_for_its_turn_is_not_told(slurm, caplog, reason):
    driver = Driver()
    job = driver.submit("1")
    slurm.says(f"1|PENDING||{reason}")
    assert driver.look(job) == ["1"]
    assert caplog.records == []
    assert not Path("work/a/failure.txt").exists()


@pytest.mark.parametrize("made", [True, False])
def test_a_job_that_slurm_forgot_is_judged_by_its_output(slurm, made):
    driver = Driver()
    job = driver.submit("1")
    if made:
        Path("results/a").mkdir(parents=True)
        Path("results/a/record.json").touch()
    slurm.says()
    assert driver.look(job) == ["1"]
    assert driver.look(job) == []
    assert driver.done == ["finished a" if made else "failed a"]


def refuse(driver: Driver, job: SubmittedJobInfo, words: str) -> None:
    message = f"SLURM sbatch failed. The error message was 'sbatch: error: {words}'.\n    sbatch call:\n"
    driver.executor.report_job_error(SubmittedJobInfo(job.job), msg=message)


def test_a_refusal_of_every_job_stops_the_workflow_once(slurm):
    driver = Driver()
    job = driver.submit("1")
    for _ in range(3):
        refuse(driver, job, "invalid partition specified: gpu")
    assert len(driver.stopped) == 1
    assert "SLURM takes no jobs: invalid partition specified: gpu" in driver.stopped[0]
    assert "slurm_partition" in driver.stopped[0]
    driver.executor.run_job(job.job)  # of those that were waiting: no sbatch, which is not on PATH here
    assert driver.done == []


def test_a_refusal_of_one_job_is_no_attempt_that_is_repeated(slurm):
    driver = Driver()
    job = driver.submit("1")
    refuse(driver, job, "Requested node configuration is not available")
    assert driver.done == ["failed a"]
    assert job.job.attempt > job.job.restart_times
    failure = read_failure(Path("work/a/failure.txt"))
    assert failure is not None
    assert failure.refused
    assert driver.stopped == []


def test_a_job_that_met_a_silent_controller_is_submitted_when_it_answers(slurm):
    driver = Driver()
    job = driver.submit("1")
    refuse(driver, job, "Unable to contact slurm controller (connect failure)")
    slurm.silent()
    driver.look()
    assert driver.done == []
    slurm.says()
    driver.look()
    assert driver.done == ["again a"]


def test_a_new_driver_follows_the_jobs_of_a_killed_one(slurm):
    job, ended = Driver().submit("1"), Driver().submit("2", "b")
    slurm.prints(
        f"1|RUNNING|g1|None|{Path.cwd()}|{COMMENT}a",
        f"2|FAILED|g1|None|{Path.cwd()}|{COMMENT}b",
        f"3|PENDING||None|{Path.cwd()}|{COMMENT}a",  # submitted twice: the one that runs is followed
    )
    new = Driver()
    new.executor.run_job(job.job)
    (followed,) = new.executor.active_jobs
    assert followed.external_jobid == "1"
    assert followed.aux == {"slurm_logfile": Path("logs/rule_train/a/1.log")}
    assert not new.executor._follow_earlier(ended.job)
    slurm.says("1|COMPLETED|g1|None")
    assert new.look(*new.executor.active_jobs) == []
    assert new.done == ["finished a"]


@pytest.mark.parametrize("folder", ["elsewhere", ""])
def test_a_job_of_the_same_run_in_another_checkout_is_not_followed(slurm, folder):
    job = Driver().submit("1")
    slurm.prints(f"1|RUNNING|g1|None|{folder and Path.cwd() / folder}|{COMMENT}a")
    assert not Driver().executor._follow_earlier(job.job)


def test_a_new_driver_submits_nothing_before_it_could_ask_what_is_in_the_queue(slurm):
    job = Driver().submit("1")
    slurm.silent()
    new = Driver()
    new.executor.run_job(job.job)
    assert new.executor.active_jobs == []
    slurm.says("1|RUNNING|g1|None")
    new.look()
    assert new.done == ["again a"]
    new.executor.run_job(job.job)
    assert [info.external_jobid for info in new.executor.active_jobs] == ["1"]


def test_the_comment_is_the_rule_and_its_wildcards_without_slashes(slurm):
    job = Driver().submit("1", "supervised/cifar10/x-1").job
    assert comment_of(job) == f"{COMMENT}supervised_cifar10_x-1"
    job.wildcards = []
    assert comment_of(job) == "rule_train"
