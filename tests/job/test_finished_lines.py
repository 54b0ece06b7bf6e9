"""A finished job of the workflow is told by the run's name and score, in one line where output is quiet."""

from __future__ import annotations

import json
import logging

import pytest
from snakemake.logging import DefaultFilter, DefaultFormatter, LogEvent
from snakemake.settings.enums import Quietness

from dmix.job.finished_lines import FinishedLines

NAME = "supervised/cifar10/resnet18/cutmix/mce/s0"
OUTPUTS = [f"runs/{NAME}-0-1/record.json", f"runs/{NAME}-0-1/history.csv"]


@pytest.fixture(params=["rules", None])
def workflow(request, tmp_path, monkeypatch):
    """Return a function that logs as Snakemake does, the lines that are shown, and whether it is quiet."""
    monkeypatch.chdir(tmp_path)
    logger = logging.Logger("snakemake", logging.INFO)
    shown: list[str] = []
    handler = logging.Handler()
    handler.setFormatter(DefaultFormatter())
    handler.emit = lambda record: shown.append(handler.format(record))
    quiet = [Quietness.RULES] if request.param else []
    handler.addFilter(DefaultFilter(quiet, False, False, False, False))
    logger.addHandler(handler)
    logger.addFilter(FinishedLines(logger.info, Quietness.RULES))

    def log(message: str | None, event: LogEvent | None = None, **more) -> list[str]:
        shown.clear()
        logger.info(message, extra=more | ({} if event is None else {"event": event}))
        return list(shown)

    return log, bool(quiet)


def start(log, job: int, rule: str, message: str | None, outputs: list[str]) -> list[str]:
    told = {"jobid": job, "rule_name": rule, "rule_msg": message, "output": outputs, "reason": "missing"}
    more = dict.fromkeys(("input", "log", "benchmark", "wildcards", "resources"), ())
    more |= {"local": False, "is_checkpoint": False, "priority": 0, "threads": 1}
    return log(f" Rule: {rule}", LogEvent.JOB_INFO, **{**more, "wildcards": {}, "resources": {}}, **told)


def finish(log, job: int, rule: str) -> tuple[list[str], list[str]]:
    first = log(f"Finished jobid: {job} (Rule: {rule})", LogEvent.JOB_FINISHED, job_id=job)
    return first, log(None, LogEvent.PROGRESS, done=1, total=20)


def record(path, **content) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))


def test_a_run_is_told_by_its_name_score_and_number(workflow, tmp_path):
    log, quiet = workflow
    log("Job stats", LogEvent.RUN_INFO, stats={"train": 15, "total": 21})
    started = start(log, 5, "train", f"Train {NAME}", OUTPUTS)
    assert started == [] if quiet else f"Job 5: Train {NAME}" in started[0]
    record(tmp_path / OUTPUTS[0], name=NAME, score=81.254)
    first, second = finish(log, 5, "train")
    assert first[0] == f"{NAME}: top-1 81.25 %, 1 of 15 runs"
    assert (len(first), len(second)) == ((1, 0) if quiet else (2, 1))


def test_a_record_that_cannot_be_read_is_no_reason_to_end(workflow):
    log, _ = workflow
    start(log, 5, "train", f"Train {NAME}", OUTPUTS)
    assert finish(log, 5, "train")[0][0] == f"Train {NAME}: done, without a record that can be read"


def test_another_job_is_told_by_its_message_if_its_rule_has_one(workflow):
    log, quiet = workflow
    start(log, 1, "relate", "Learn relation/cub/s0", ["relation.json"])
    first, second = finish(log, 1, "relate")
    assert first[0] == "Learn relation/cub/s0: done"
    assert (len(first), len(second)) == ((1, 0) if quiet else (2, 1))
    start(log, 2, "collect", None, ["frame.csv"])
    first, second = finish(log, 2, "collect")
    assert (first, second) == ([], []) if quiet else "Finished jobid: 2 (Rule: collect)" in first[0]


def test_quiet_output_does_not_say_how_many_jobs_are_started(workflow):
    log, quiet = workflow
    assert log("Select jobs to execute...") == ([] if quiet else ["Select jobs to execute..."])
    assert bool(log("Execute 1 jobs...", LogEvent.JOB_STARTED, jobs=[1])) is not quiet
    assert log("Complete log") == ["Complete log"]
