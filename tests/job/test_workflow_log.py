"""What Snakemake says of a failed job is replaced by the run's name, the reason and the log, once."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from snakemake.logging import DefaultFilter, DefaultFormatter, LogEvent
from snakemake.settings.enums import Quietness

from dmix.job.workflow_log import ShortFailures

NAME = "supervised/cifar10/resnet18/cutmix/mce/s0"
WORK = Path("work/smoke")
HERE = WORK / f"{NAME}-0123abcd-4567cdef"
REASON = "RuntimeError: broken\n  at src/x.py:3 in f\n  log: " + str(HERE / "log.txt")


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """Return a function that logs as Snakemake does, with quiet output, and returns what is shown."""
    monkeypatch.chdir(tmp_path)
    HERE.mkdir(parents=True)
    short = ShortFailures(WORK)
    quiet = DefaultFilter([Quietness.RULES], False, False, False, False)

    def log(message: str | None, event: LogEvent | None = None, **more) -> str:
        record = logging.LogRecord("snakemake", logging.ERROR, "", 0, message, (), None)
        vars(record).update(more, **({} if event is None else {"event": event}))
        return DefaultFormatter().format(record) if short.filter(record) and quiet.filter(record) else ""

    return log


def job(event: LogEvent, rule: str = "train", **more) -> dict:
    return {"event": event, "rule_name": rule, "jobid": 5, "log": [f"{HERE}/log.txt", "slurm.log"], **more}


def started(shown) -> None:
    assert shown("Rule: train", **job(LogEvent.JOB_INFO)) == ""


def failed(shown, **more) -> str:
    return shown("Error in rule train, jobid: 5", **job(LogEvent.JOB_ERROR, **{"rule_msg": None, **more}))


def write(text: str, age: int) -> None:
    (HERE / "failure.txt").write_text(text)
    os.utime(HERE / "failure.txt", (age, age))


def test_a_reason_is_told_once_for_all_attempts_and_another_one_again(shown):
    write("of last week", 1)
    started(shown)
    write(REASON, 2)
    command = (
        "RuleException:\nCalledProcessError in file x:\nCommand 'exec dmix train X --promise {}' returned 1."
    )
    assert shown(command, LogEvent.ERROR) == ""
    assert failed(shown) == f"{NAME} failed: {REASON}"
    assert shown("Trying to restart job 5.") != ""
    write(REASON, 3)
    assert failed(shown) == ""
    write("OutOfMemoryError: no memory", 4)
    assert failed(shown) == f"{NAME} failed: OutOfMemoryError: no memory"


def test_a_refused_job_is_not_said_to_be_tried_again(shown):
    started(shown)
    write("no data\n  get them\n  refused: a workflow tries it again when it is started anew\n", 2)
    assert failed(shown).startswith(f"{NAME} failed: no data\n  get them\n")
    assert shown("Trying to restart job 5.") == ""
    assert shown("Trying to restart job 6.") != ""
    assert failed(shown) == ""


def test_a_job_that_left_no_reason_is_told_by_its_log(shown):
    write("of last week", 1)
    started(shown)
    (HERE / "log.txt").write_text(f"step 1\n{NAME}: SIGTERM: stopped at step 3\n")
    assert f"{NAME} ended: {NAME}: SIGTERM: stopped at step 3\n" in failed(shown)


def test_a_killed_job_without_a_log_is_told_with_what_slurm_says(shown):
    started(shown)
    text = failed(shown, rule_msg="SLURM-job '12' failed, SLURM status is: 'OUT_OF_MEMORY'")
    assert "was it killed?" in text
    assert "OUT_OF_MEMORY" in text


def test_other_rules_and_messages_are_shown_as_ever(shown):
    assert shown("Missing input", LogEvent.ERROR) == "Missing input"
    assert shown("Job stats", None) == "Job stats"
    assert shown("Error", event=LogEvent.ERROR, rule_name="render_table1") == "Error"
