"""The paths of data, results and resume state.

Results are outputs that the workflow declares; resume state is not tracked by anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DATA = Path("data")
RESULTS = Path("results")
WORK = Path("work")
RECORD = "record.json"


def runs_folder(tier: str) -> Path:
    """Return the folder of the products of a tier's runs."""
    return RESULTS / tier / "runs"


def relations_folder(tier: str) -> Path:
    """Return the folder of a tier's class relations."""
    return RESULTS / tier / "relations"


@dataclass(frozen=True)
class RunPaths:
    """Paths of one run, from its tier and its folder (name and digests)."""

    tier: str
    folder: str

    @property
    def results(self) -> Path:
        """Folder of the products."""
        return runs_folder(self.tier) / self.folder

    @property
    def record(self) -> Path:
        """The declared product: scores and provenance."""
        return self.results / RECORD

    @property
    def history(self) -> Path:
        """One line per epoch."""
        return self.results / "history.csv"

    @property
    def weights(self) -> Path:
        """Final weights, safetensors."""
        return self.results / "weights.safetensors"

    @property
    def labelled(self) -> Path:
        """The training images that had labels, one a line; there is none if all had."""
        return self.results / "labelled.txt"

    @property
    def work(self) -> Path:
        """Folder of the resume state."""
        return WORK / self.tier / self.folder

    @property
    def checkpoint(self) -> Path:
        """Resume state."""
        return self.work / "checkpoint.pt"

    @property
    def lock(self) -> Path:
        """The lock of the process that trains the run."""
        return self.work / "lock"

    @property
    def progress(self) -> Path:
        """The step that the run has reached, for `dmix status`."""
        return self.work / "progress.json"

    @property
    def failure(self) -> Path:
        """Why the last attempt failed, for `dmix status`."""
        return self.work / "failure.txt"


@dataclass(frozen=True)
class RelationPaths:
    """Paths of one relationship of source and target classes, from its tier and its folder."""

    tier: str
    folder: str

    @property
    def results(self) -> Path:
        """Folder of the products."""
        return relations_folder(self.tier) / self.folder

    @property
    def record(self) -> Path:
        """The declared product: how it was learned, and the digest of the matrix."""
        return self.results / "relation.json"

    @property
    def matrix(self) -> Path:
        """The relationship, safetensors."""
        return self.results / "relationship.safetensors"
