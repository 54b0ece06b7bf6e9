"""Builds the policy of a run with its network, and loads the weights if the run is finished."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch

from dmix.data.sets.dataset import Dataset
from dmix.engine.assemble import assemble
from dmix.errors import DmixError
from dmix.grid.damage import absent, way_out, way_to_weights
from dmix.grid.expand import Grid
from dmix.grid.paths import RECORD, WEIGHTS, RunPaths, weights_beside
from dmix.methods.supervised import Supervised
from dmix.policies.policy import Context, Policy
from dmix.record import read_record

# If several runs have a policy, the one that differs least from these entries is shown.
PREFERRED = {"backbone": "resnet18", "objective": "mce"}
METHOD = "supervised"


@dataclass(frozen=True)
class Built:
    """A policy, the context that its run gives it, and whether the network in the context is trained."""

    policy: Policy
    context: Context
    trained: bool


def choose_run(grid: Grid, dataset: str, policy: str, runs_root: Path) -> str | None:
    """Return the supervised run that shows `policy` on `dataset`, or None where the grids have none.

    Preferred are runs whose parts all exist, then, of a dynamic policy, finished ones, then those nearest to
    `PREFERRED`, then the first in the order of `params.yaml`.
    """
    dynamic = grid.params.policies[policy].kind == "dynamic"

    def rank(name: str) -> tuple[bool, bool, int]:
        if grid.missing(name):
            return True, True, 0
        axes = grid.runs[name].axes
        untrained = dynamic and not _finished(grid, name, runs_root)
        return False, untrained, sum(axes[axis] != entry for axis, entry in PREFERRED.items())

    candidates = (
        name
        for name, spec in grid.runs.items()
        if (spec.axes["dataset"], spec.axes["policy"]) == (dataset, policy)
        and spec.settings["method"]["use"] == METHOD
    )
    return min(candidates, key=rank, default=None)


def build(grid: Grid, name: str, dataset: Dataset, runs_root: Path) -> Built:
    """Return the policy of run `name` on the CPU, as the finished run left it, else as the run starts.

    Raises
    ------
    DmixError: the run's weights are not those that its record names, or they are absent and the policy has
        learned to mix.
    """
    trainer = assemble(grid.runs[name], dataset, torch.device("cpu"))
    method = trainer.method
    assert isinstance(method, Supervised)
    trained = _finished(grid, name, runs_root)
    if trained:
        method.load_state_dict(safetensors.torch.load(_weights(grid, name, runs_root)))
    elif grid.params.policies[grid.runs[name].axes["policy"]].kind == "dynamic":
        _refuse_absent(grid, name, runs_root)
    step = trainer.total if trained else 0
    return Built(
        method.policy,
        Context(method.model, method.objective, step, trainer.total, method.pixels),
        trained=trained,
    )


def _files(grid: Grid, name: str, runs_root: Path) -> tuple[Path, Path]:
    """Return the record of a run and its weights."""
    folder = grid.folders[name]
    return runs_root / folder / RECORD, weights_beside(runs_root) / folder / WEIGHTS


def _finished(grid: Grid, name: str, runs_root: Path) -> bool:
    return all(path.exists() for path in _files(grid, name, runs_root))


def _refuse_absent(grid: Grid, name: str, runs_root: Path) -> None:
    """Refuse to show a policy as untrained whose run is finished, in a checkout without its weights."""
    record, weights = _files(grid, name, runs_root)
    if record.exists() and absent(weights):
        paths = RunPaths(grid.tier, grid.folders[name])
        raise DmixError(f"the weights of {name} are not here", way_to_weights(paths))


def _weights(grid: Grid, name: str, runs_root: Path) -> bytes:
    record, path = _files(grid, name, runs_root)
    blob = path.read_bytes()
    if hashlib.sha256(blob).hexdigest() != read_record(record).weights_sha256:
        raise DmixError(
            f"{path} is damaged: its sha256 is not the one in record.json",
            way_out(RunPaths(grid.tier, grid.folders[name]), name),
        )
    return blob
