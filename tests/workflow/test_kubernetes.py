"""The Kubernetes profile plans the runs of the local one; its executor keeps pods in the shared checkout."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import sys
from types import SimpleNamespace

import pytest

from project import ROOT, Project

pytest.importorskip("snakemake_executor_plugin_kubernetes")
PLACE = str(ROOT / "workflows/kubernetes")


@pytest.fixture
def executor(monkeypatch):
    monkeypatch.syspath_prepend(PLACE)
    module = importlib.import_module("snakemake_executor_plugin_dmix_kubernetes")
    yield module
    del sys.modules[module.__name__]


def test_pods_see_the_files_of_the_driver(executor):
    settings = executor.common_settings
    assert not settings.implies_no_shared_fs
    assert not settings.job_deploy_sources
    made = object.__new__(executor.Executor)
    made.workflow = SimpleNamespace(workdir_init="/dmix/a folder")
    assert made.get_job_exec_prefix(None) == "cd '/dmix/a folder'"


def test_a_job_that_could_not_be_asked_for_is_not_forgotten(executor, monkeypatch):
    async def asks(self, jobs):
        self.report_job_success(jobs[0])
        yield jobs[1]

    parent = executor.Executor.__mro__[1]
    monkeypatch.setattr(parent, "check_active_jobs", asks)
    made = object.__new__(executor.Executor)
    made.ended = set()
    made.workflow = SimpleNamespace(scheduler=SimpleNamespace(finish_callback=lambda job: None))
    jobs = [SimpleNamespace(external_jobid=name, job=None) for name in ("done", "runs", "not asked")]

    async def still() -> list[str]:
        return [job.external_jobid async for job in made.check_active_jobs(jobs)]

    assert asyncio.run(still()) == ["runs", "not asked"]


def planned(project: Project, profile: str) -> set[str]:
    """Return the runs that a dry run with a profile plans."""
    folders = (str(project.path / "src"), PLACE, os.environ.get("PYTHONPATH", ""))
    done = project.run(
        *("env", f"PYTHONPATH={os.pathsep.join(folders)}", "snakemake", "-n"),
        *("--profile", f"workflows/profiles/{profile}", "--config", "tier=smoke", "--", "runs"),
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return set(re.findall(r"(?m)^Job \d+: Train (\S+)$", output))


@pytest.mark.slow
def test_a_dry_run_with_the_profile_plans_every_run(project: Project):
    assert planned(project, "kubernetes") == planned(project, "local") != set()
