"""Runs the workflow's jobs on SLURM, by Snakemake's plugin, and follows them through outages and restarts.

The plugin submits and cancels. Asking for states is done here: the plugin loses all jobs that it follows when
the controller does not answer (it then waits for them for ever), asks sacct, which may be absent or word a
state otherwise, and counts a job that saved and has to go on as failed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_slurm import Executor as PluginExecutor
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from dmix.errors import DmixError
from dmix.grid.failure import Failure
from dmix.slurm import ends
from dmix.slurm.job_facts import asked_for, comment_of, log_of, name_of, slurm_log, work_folder
from dmix.slurm.judge import Followed, sequel, verdict
from dmix.slurm.queue import QueuedJob, is_down, jobs, jobs_now, left_behind, release
from dmix.slurm.refusal import meaning, words_of

LONGEST_WAIT = 60.0
"""Seconds between two questions at most; SLURM forgets an ended job after MinJobAge, by default 300."""

MOST_RELEASES = 3
"""How often the driver releases a job that SLURM could not start, before the job has failed."""

WAY_OUT = (
    "set slurm_account, slurm_partition and what else your site wants in "
    "workflows/profiles/slurm/config.yaml (docs/cluster.md); no further job was submitted"
)


@dataclass
class Following:
    """What an executor knows of SLURM and of its jobs, for all threads.

    `accepted`: SLURM took a job. `refused`: it takes none. `silent_since`: the controller stopped to answer
    then, by time.monotonic(). `later`: jobs to submit when it answers. `earlier`: those of an earlier driver,
    by their comments, None until the controller was asked for them.
    """

    accepted: bool = False
    refused: bool = False
    silent_since: float | None = None
    later: list[Any] = field(default_factory=list)
    earlier: dict[str, QueuedJob] | None = None
    jobs: dict[str, Followed] = field(default_factory=dict)
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)


class Executor(PluginExecutor):
    """The plugin's executor, with a way of its own to ask for states and to take refusals."""

    def __init__(self, workflow: Any, logger: Any) -> None:
        self.following = Following()  # first, because the base class starts the thread that asks for states
        super().__init__(workflow, logger)

    def run_job(self, job: Any) -> None:
        """Submit a job, or follow the one that an earlier driver submitted for the same output.

        Until SLURM has taken a first job, only one is submitted at a time, so that what refuses all is said
        once.
        """
        with nullcontext() if self.following.accepted else self.following.one_at_a_time:
            if not self.following.refused and not self._follow_earlier(job):
                super().run_job(job)

    def get_account_arg(self, job: Any) -> Iterator[str]:
        """Yield sbatch's option for the account; without one, the profile keeps the plugin from guessing."""
        if self.workflow.executor_settings.no_account and not job.resources.get("slurm_account"):
            yield ""
        else:
            yield from super().get_account_arg(job)

    def report_job_submission(self, job_info: SubmittedJobInfo, register_job: bool = True) -> None:
        """Note the job, and where its run is."""
        number = job_info.external_jobid
        if number is not None:
            self.following.accepted = True
            self.following.jobs[number] = Followed(ends.marks(work_folder(job_info)))
        super().report_job_submission(job_info, register_job=register_job)

    def report_job_error(self, job_info: SubmittedJobInfo, msg: str | None = None, **more: Any) -> None:
        """Report a failed job; of one that SLURM refused, see whether it or all of them are meant."""
        if words := words_of(msg):
            self._refused(job_info, words)
        else:
            super().report_job_error(job_info, msg=msg, **more)

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncIterator[SubmittedJobInfo]:
        """Yield the jobs that still wait or run, and report the others."""
        shortest = float(self.workflow.executor_settings.init_seconds_before_status_checks)
        if not active_jobs and not self.following.later:
            self.next_seconds_between_status_checks = shortest
            return
        async with self.status_rate_limiter:
            queue = await jobs()
        if queue is None:
            self._silent()
            self.next_seconds_between_status_checks = shortest
            for job_info in active_jobs:
                yield job_info
            return
        self._answers()
        going_on = [job_info for job_info in active_jobs if not self._ended(job_info, queue)]
        longer = min(self.next_seconds_between_status_checks + 10, max(LONGEST_WAIT, shortest))
        self.next_seconds_between_status_checks = longer if len(going_on) == len(active_jobs) else shortest
        for job_info in going_on:
            yield job_info

    def _follow_earlier(self, job: Any) -> bool:
        """Follow the job that an earlier driver left in the queue for the same run; say whether.

        The queue itself is asked, by working directory and comment: a driver that is killed between sbatch
        and a note of its own would leave a job that nobody knows. Without an answer the job waits for one.
        """
        if self.following.earlier is None:
            queue = jobs_now()
            if queue is None:
                self.following.later.append(job)
                self._silent()
                return True
            self.following.earlier = left_behind(queue, Path(self.workflow.workdir_init))
            if self.following.earlier:
                self.logger.warning(
                    f"dmix: {len(self.following.earlier)} jobs of an earlier driver are still in the queue: "
                    "they are followed, and not submitted again"
                )
        found = self.following.earlier.pop(comment_of(job), None)
        if found is None:
            return False
        aux = {"slurm_logfile": log_of(job, self.slurm_logdir, found.number)}
        self.report_job_submission(SubmittedJobInfo(job, external_jobid=found.number, aux=aux))
        return True

    def _ended(self, job_info: SubmittedJobInfo, queue: dict[str, QueuedJob]) -> bool:
        """Report the job if it ended, and return whether it did."""
        number = str(job_info.external_jobid)
        known, found = self.following.jobs[number], queue.get(number)
        said = verdict(known, found)
        if said == "queued again":
            self._queued_again(job_info, known)
        if said in ("goes on", "queued again"):
            return found is not None and self._given_up(job_info, known, found)
        del self.following.jobs[number]
        if said == "done":
            self._succeeded(job_info)
        else:
            self._over(job_info, known)
        return True

    def _given_up(self, job_info: SubmittedJobInfo, known: Followed, found: QueuedJob) -> bool:
        """Say why a job does not start, and release what SLURM holds; return whether it was cancelled.

        SLURM holds a job that it could not start, and nobody releases it: after three times it has failed.
        What somebody holds, or what waits for a change of the site, may go on at any time.
        """
        if not found.hold:
            known.told = ""
            return False
        reason = f"held: {found.reason}"
        if found.hold == "by SLURM" and known.releases >= MOST_RELEASES:
            self.cancel_jobs([job_info])
            del self.following.jobs[found.number]
            after = f"released {known.releases} times in vain, and cancelled; see the log of slurmctld"
            self._say(job_info, ends.reason(found.number, reason, "", after))
            super().report_job_error(job_info, msg=None)
            return True
        if found.hold == "by SLURM":
            refused = release(found.number)
            known.releases += 1
            after = (
                f"cannot be released: {refused}" if refused else "released, so it waits for its start again"
            )
        elif found.hold == "by somebody":
            after = f"it waits for `scontrol release {found.number}`"
        else:
            reason = f"cannot start: {found.reason}"
            after = f"it waits until that changes, or until you cancel it: `scancel {found.number}`"
        if found.hold == "by SLURM" or known.told != found.reason:
            self._say(job_info, ends.reason(found.number, reason, "", after))
            known.told, known.marks = found.reason, ends.marks(work_folder(job_info))
        return False

    def _succeeded(self, job_info: SubmittedJobInfo) -> None:
        self.report_job_success(job_info)
        log = slurm_log(job_info)
        if log and not self.workflow.executor_settings.keep_successful_logs:
            try:
                Path(log).unlink(missing_ok=True)
            except OSError as error:
                self.logger.warning(f"cannot remove {log}: {error}")

    def _over(self, job_info: SubmittedJobInfo, known: Followed) -> None:
        """Go on with the run of a job that ended without success, or report that it failed."""
        there = all(Path(output).exists() for output in job_info.job.output)
        follows = sequel(known, ends.marks(work_folder(job_info)), there)
        number = str(job_info.external_jobid)
        if follows == "done":
            self._succeeded(job_info)
        elif follows == "next job":
            after = "the next job goes on from its last checkpoint"
            self._say(job_info, ends.reason(number, known.state, known.node, after))
            self._job_submission_executor.submit(self.run_job, job_info.job)
        else:
            if follows == "failed":
                self._tell(job_info, ends.reason(number, known.state, known.node))
            log = slurm_log(job_info)
            super().report_job_error(job_info, msg=None, aux_logs=[log] if log else [])

    def _queued_again(self, job_info: SubmittedJobInfo, known: Followed) -> None:
        """Say why SLURM queued a running job again: its node died, or it was pre-empted."""
        state = "NODE_FAIL" if known.node and is_down(known.node) else "PREEMPTED"
        after = "SLURM has queued it again, and it goes on from its last checkpoint"
        self._say(job_info, ends.reason(str(job_info.external_jobid), state, known.node, after))
        known.marks, known.node = ends.marks(work_folder(job_info)), ""

    def _say(self, job_info: SubmittedJobInfo, failure: Failure) -> None:
        """Keep the reason with the run, and tell it on the terminal with what happens next."""
        self._tell(job_info, failure)
        self.logger.warning(f"{name_of(job_info.job)}: {failure.reason}; {failure.way_out[-1]}")

    def _refused(self, job_info: SubmittedJobInfo, words: str) -> None:
        """Submit a refused job later, give it up, or stop the workflow."""
        what = meaning(words, self.following.accepted)
        if what == "later":
            self.logger.warning(
                f"{name_of(job_info.job)}: sbatch: {words}; submitted again when SLURM answers"
            )
            self.following.later.append(job_info.job)
        elif what == "every job":
            if not self.following.refused:
                self.following.refused = True
                error = WorkflowError(f"SLURM takes no jobs: {words}\n  {WAY_OUT}")
                self.workflow.scheduler.executor_error_callback(error)
        else:
            way_out = f"it asks for {asked_for(job_info.job)}; change it under set-resources in the profile"
            failure = Failure(f"SLURM refuses this job: {words}", (way_out,), refused=True)
            self._tell(job_info, failure)
            job_info.job.attempt = job_info.job.restart_times + 1  # it would be refused again
            super().report_job_error(job_info, msg=words)

    def _tell(self, job_info: SubmittedJobInfo, failure: Failure) -> None:
        log = slurm_log(job_info)
        try:
            ends.tell(work_folder(job_info), failure, Path(log) if log else None)
        except DmixError as error:
            self.logger.warning(f"{name_of(job_info.job)}: {failure.reason} ({error.message})")

    def _silent(self) -> None:
        if self.following.silent_since is None:
            self.following.silent_since = time.monotonic()
            self.logger.warning(
                "dmix: SLURM's controller does not answer squeue. Its jobs go on; this driver waits for it"
            )

    def _answers(self) -> None:
        if self.following.silent_since is not None:
            seconds = time.monotonic() - self.following.silent_since
            self.logger.warning(f"dmix: SLURM's controller answers again, after {seconds:.0f} s")
            self.following.silent_since = None
        while self.following.later:
            self._job_submission_executor.submit(self.run_job, self.following.later.pop(0))
