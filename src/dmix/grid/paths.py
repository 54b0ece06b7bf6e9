"""Paths of data, results and resume state.

Results are declared outputs of the workflow; resume state is tracked by neither Snakemake, git nor DVC.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DATA = Path("data")
RESULTS = Path("results")
WORK = Path("work")
PAPER = Path("paper_tables")
RECORD = "record.json"
FAILURE = "failure.txt"
LOG = "log.txt"
HISTORY = "history.csv"
WEIGHTS = "weights.safetensors"
LABELLED = "labelled.txt"


def records_folder(tier: str) -> Path:
    """Return the folder of a tier's records: of runs, class relations and evaluations, kilobytes each."""
    return RESULTS / tier / "records"


def weights_folder(tier: str) -> Path:
    """Return the folder of the weights of a tier's runs."""
    return weights_beside(records_folder(tier))


def weights_beside(runs_root: Path) -> Path:
    """Return the folder of the weights of the runs below `runs_root`, results/<tier>/records."""
    return runs_root.with_name("weights")


@dataclass(frozen=True)
class RunPaths:
    """Paths of one run, from its tier and its folder (name and digests)."""

    tier: str
    folder: str

    @property
    def results(self) -> Path:
        """Folder of the run's results but its weights."""
        return records_folder(self.tier) / self.folder

    @property
    def record(self) -> Path:
        """Record of scores and provenance, the declared output."""
        return self.results / RECORD

    @property
    def history(self) -> Path:
        """Losses and accuracies, one line per epoch or evaluation."""
        return self.results / HISTORY

    @property
    def weights(self) -> Path:
        """Final weights, safetensors, in a folder of their own that a checkout may lack."""
        return weights_folder(self.tier) / self.folder / WEIGHTS

    @property
    def labelled(self) -> Path:
        """List of the labelled training images, one a line; no file if all are labelled."""
        return self.results / LABELLED

    @property
    def work(self) -> Path:
        """Folder of the resume state."""
        return WORK / self.tier / self.folder

    @property
    def checkpoint(self) -> Path:
        """Resume state (`dmix.job.session`)."""
        return self.work / "checkpoint.pt"

    @property
    def resume_state(self) -> tuple[Path, ...]:
        """Files that a run in progress keeps across restarts, and a finished one has no more."""
        return self.checkpoint, self.live_history

    @property
    def lock(self) -> Path:
        """Lock of the process that trains the run."""
        return self.work / "lock"

    @property
    def progress(self) -> Path:
        """Current step, accuracy and time left, for `dmix status` (`dmix.grid.progress`)."""
        return self.work / "progress.json"

    @property
    def live_history(self) -> Path:
        """`history` of a run in progress, up to now; gone when the run is finished."""
        return self.work / HISTORY

    @property
    def failure(self) -> Path:
        """Reason for the last failure, for `dmix status`; kept until the run gets further than then."""
        return self.work / FAILURE

    @property
    def log(self) -> Path:
        """Output of the workflow's job, and tracebacks."""
        return self.work / LOG


@dataclass(frozen=True)
class ClassRelationPaths:
    """Paths of one class relation, from its tier and its folder."""

    tier: str
    folder: str

    @property
    def results(self) -> Path:
        """Folder of the class relation's results."""
        return records_folder(self.tier) / self.folder

    @property
    def work(self) -> Path:
        """Folder of the lock, log and failure."""
        return WORK / self.tier / self.folder

    @property
    def failure(self) -> Path:
        """Reason for the last failure, for `dmix status`."""
        return self.work / FAILURE

    @property
    def record(self) -> Path:
        """Record of how it was learned and of the matrix's digest, the declared output."""
        return self.results / "relation.json"

    @property
    def matrix(self) -> Path:
        """Matrix of the class relation, safetensors."""
        return self.results / "relationship.safetensors"
