"""What `run.sh` needs to know of dmix: `runs.py targets` prepares a project, `runs.py check` judges it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import yaml

from dmix.grid.expand import load_grid
from dmix.grid.includes import read_params
from dmix.record import read_record

TIER = "smoke"
RUNS = 6
LONG = "supervised/cifar10/resnet18/vanilla/ce/s0"
OVERRIDE = {
    "when": {"recipe": "cifar", "dataset": "cifar10", "policy": "vanilla"},
    "set": {"recipe.epochs": 80},
    "why": "about 10 s of one core, to be cancelled half-way",
}


def targets() -> None:
    """Lengthen one run in this folder's params.yaml; print the long run's folder and five others'."""
    file = Path("params.yaml")
    params = read_params(file).data
    params["tiers"][TIER]["overrides"] = [OVERRIDE]
    file.write_text(yaml.safe_dump(params, sort_keys=False))
    folders = load_grid(TIER).folders
    others = [folder for name, folder in folders.items() if name != LONG]
    print("\n".join([folders[LONG], *others[: RUNS - 1]]))


def check(seen: int, uninterrupted: Path, folders: list[str]) -> None:
    """Require six valid records, of which the first is exactly that of the `uninterrupted` project.

    `seen` is the step at which the run was cancelled: none before it may have been lost.
    """
    grid = load_grid(TIER)
    runs = Path("results", TIER, "runs")
    records = [read_record(runs / folder / "record.json") for folder in folders]
    for folder, record in zip(folders, records, strict=True):
        assert record.name == grid.names[folder], f"{folder}: the record is of {record.name}"
        assert record.spec_digest == grid.runs[record.name].digest(), f"{folder}: of other settings"
    cancelled, *others = records
    assert [record.resumes for record in others] == [0] * (RUNS - 1), "a run that was left alone resumed"
    assert cancelled.resumes >= 1, f"{cancelled.name} did not resume"
    log = Path("work", TIER, folders[0], "log.txt").read_text()
    resumed = re.search(r"continuing at step (\d+) of", log)
    assert resumed is not None, f"it did not continue:\n{log}"
    assert int(resumed[1]) >= seen, f"cancelled at step {seen}, but:\n{log}"
    reference = read_record(uninterrupted / runs / folders[0] / "record.json")
    assert reference.resumes == 0
    assert cancelled.weights_sha256 == reference.weights_sha256, "resuming changed the weights"
    print(f"cancelled at step {seen}, continued at step {resumed[1]}, and ended with the same weights")


if __name__ == "__main__":
    if sys.argv[1] == "targets":
        targets()
    else:
        check(int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
