"""Offers `executor: dmix-kubernetes` to Snakemake: its plugin for Kubernetes, with a volume that pods share.

The plugin copies declared files through an object store, and a pod's other files are lost with it; a run's
checkpoint, lock and log are such files. Here every pod mounts the volume with the checkout at the same place,
so that a run goes on in another pod as it does on another node of a cluster.

This folder is put on PYTHONPATH by the container (workflows/envs/Containerfile) and not part of the dmix
package, because Snakemake imports every executor that it finds, and Kubernetes' client takes a second.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import AsyncIterator
from typing import Any

from snakemake_executor_plugin_kubernetes import Executor as PluginExecutor
from snakemake_executor_plugin_kubernetes import ExecutorSettings
from snakemake_executor_plugin_kubernetes import common_settings as plugin_settings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

common_settings = dataclasses.replace(
    plugin_settings,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_default_storage_provider_args=False,
    auto_deploy_default_storage_provider=False,
)


class Executor(PluginExecutor):  # type: ignore[misc]  # the plugin has no types
    """The plugin's executor, whose jobs start in the checkout on the shared volume."""

    def __init__(self, workflow: Any, logger: Any) -> None:
        self.ended: set[str] = set()
        super().__init__(workflow, logger)

    def get_job_exec_prefix(self, job: Any) -> str:
        """Return the start of a pod's command: enter the checkout, as the driver did."""
        return f"cd {shlex.quote(str(self.workflow.workdir_init))}"

    def report_job_success(self, job_info: Any) -> None:
        """Report a finished job."""
        self.ended.add(job_info.external_jobid)
        super().report_job_success(job_info)

    def report_job_error(self, job_info: Any, msg: str | None = None, **more: Any) -> None:
        """Report a failed job."""
        self.ended.add(job_info.external_jobid)
        super().report_job_error(job_info, msg=msg, **more)

    async def check_active_jobs(self, active_jobs: list[Any]) -> AsyncIterator[Any]:
        """Yield the jobs that are not reported: the plugin forgets those that it could not ask for."""
        yielded = set()
        async for job_info in super().check_active_jobs(active_jobs):
            yielded.add(job_info.external_jobid)
            yield job_info
        for job_info in active_jobs:
            if job_info.external_jobid not in yielded | self.ended:
                yield job_info
