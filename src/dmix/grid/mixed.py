"""Which runs are evaluated on mixed test images, and where the accuracies are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dmix.grid.code import NUMERIC_ROOMS, closure_in
from dmix.grid.expand import Grid
from dmix.grid.paths import FAILURE, WORK, runs_folder
from dmix.grid.spec import RunSpec, digest_of

METHOD = "supervised"
MIXED = "mixed"
PRODUCT = "mixed.json"
# The run's own code is in its folder. The rest is what mixes and counts: this package and common policies.
CODE = ("dmix.mixed.accuracy", "dmix.mixed.pairs")
SHARED_CODE = ("dmix.engine.mixed_accuracy", "dmix.policies.mixup", "dmix.policies.cutmix")


@cache
def mixed_digest() -> str:
    """Return 8 hexadecimal digits over the code of the evaluation on mixed images."""
    code = {**closure_in(CODE, (MIXED,)), **closure_in(SHARED_CODE, NUMERIC_ROOMS)}
    return digest_of(sorted(code.items()))


@dataclass(frozen=True)
class MixedPaths:
    """Paths of the evaluation of one run on mixed images, from its tier and the run's folder."""

    tier: str
    run: str

    @property
    def folder(self) -> str:
        """The run's folder and the digest of the evaluation's code."""
        return f"{self.run}-{mixed_digest()}"

    @property
    def product(self) -> Path:
        """The accuracies (`dmix.mixed.record`), the declared output."""
        return product_of(runs_folder(self.tier), self.run)

    @property
    def work(self) -> Path:
        """Folder of the lock, log and failure."""
        return WORK / self.tier / MIXED / self.folder

    @property
    def failure(self) -> Path:
        """Reason for the last failure."""
        return self.work / FAILURE


def product_of(runs_root: Path, run: str) -> Path:
    """Return the file of the accuracies of the run in folder `run` of `runs_root`, results/<tier>/runs."""
    return runs_root.parent / MIXED / f"{run}-{mixed_digest()}" / PRODUCT


def can_be_evaluated(spec: RunSpec) -> bool:
    """Return whether a run's network is trained on mixed labelled images, or on unmixed ones, alone."""
    return bool(spec.settings["method"]["use"] == METHOD)


def evaluated_runs(grid: Grid) -> tuple[str, ...]:
    """Return the names of the runs whose accuracy on mixed images a figure of the tier shows, each once."""
    entries = [entry for entry in grid.figures.values() if entry.reads == MIXED]
    names = dict.fromkeys(name for entry in entries for name in grid.figure_runs(entry))
    return tuple(name for name in names if can_be_evaluated(grid.runs[name]) and name in grid.folders)
