"""Of which runs the confidence can be evaluated, and where the results are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dmix.grid.code import closure_in
from dmix.grid.expand import Grid
from dmix.grid.paths import FAILURE, WORK, runs_folder
from dmix.grid.spec import RunSpec, digest_of

CONFIDENCE = "confidence"
PRODUCT = "confidence.json"
CODE = ("dmix.confidence.measure",)  # the run's own code is in its folder
TASKS = ("supervised", "semi")


@cache
def confidence_digest() -> str:
    """Return 8 hexadecimal digits over the code that evaluates the confidence."""
    return digest_of(sorted(closure_in(CODE, (CONFIDENCE,)).items()))


@dataclass(frozen=True)
class ConfidencePaths:
    """Paths of the evaluation of one run's confidence, from its tier and the run's folder."""

    tier: str
    run: str

    @property
    def folder(self) -> str:
        """The run's folder and the digest of the evaluation's code."""
        return f"{self.run}-{confidence_digest()}"

    @property
    def product(self) -> Path:
        """The confidence (`dmix.confidence.record`), the declared output."""
        return confidence_of(runs_folder(self.tier), self.run)

    @property
    def work(self) -> Path:
        """Folder of the lock, log and failure."""
        return WORK / self.tier / CONFIDENCE / self.folder

    @property
    def failure(self) -> Path:
        """Reason for the last failure."""
        return self.work / FAILURE


def confidence_of(runs_root: Path, run: str) -> Path:
    """Return the file of the confidence of the run in folder `run` of `runs_root`, results/<tier>/runs."""
    return runs_root.parent / CONFIDENCE / f"{run}-{confidence_digest()}" / PRODUCT


def has_confidence(spec: RunSpec) -> bool:
    """Return whether the run's network can be rebuilt from its weights alone, without a class relation."""
    return spec.task in TASKS


def confidence_runs(grid: Grid) -> tuple[str, ...]:
    """Return the names of the runs of the tier whose confidence can be evaluated."""
    return tuple(name for name in grid.folders if has_confidence(grid.runs[name]))
