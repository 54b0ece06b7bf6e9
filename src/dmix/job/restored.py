"""Builds the trainer of a finished run anew, with its final weights."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from dmix.backbones.pooled import pooled
from dmix.data.loading.feed import ReadOptions
from dmix.data.sets.dataset import Dataset
from dmix.engine.assemble import Given, assemble
from dmix.engine.parts import load_part
from dmix.engine.trainer import Trainer
from dmix.errors import DmixError
from dmix.grid.spec import RunSpec
from dmix.methods.transfer.co_tuning import MATRIX

ENCODER, SOURCE = "encoder.", "source."


def restored(
    spec: RunSpec, dataset: Dataset, device: torch.device, reading: ReadOptions, weights: bytes
) -> Trainer:
    """Return the run's trainer at step 0, its method with the final weights on `device`.

    Needs neither the weights that the run started from nor its class relation.

    Parameters
    ----------
    weights: content of weights.safetensors. reading: how images on disk are read; it changes no number.

    Raises
    ------
    DmixError: a part cannot be built, or the weights are not those of the network.
    """
    tensors = safetensors.torch.load(weights)
    with tempfile.TemporaryDirectory() as folder:
        given = _stand_ins(spec, dataset.classes, tensors, Path(folder))
        # Only whether there is a source counts: it says that dmix wrote the file of initial weights.
        own = replace(spec, source=spec) if given.weights is not None else spec
        trainer = assemble(own, dataset, device, reading, given)
    fill(trainer.method, tensors, spec.name)
    return trainer


def fill(module: nn.Module, tensors: Mapping[str, Tensor], run: str) -> None:
    """Load a run's tensors into a module.

    Raises
    ------
    DmixError: their names or shapes are not those of the module.
    """
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise DmixError(
            f"{run}: the weights do not fit the network of its record as the code here builds it: {error}",
            "use the code that trained it: the record states git_commit",
            exit_code=1,
        ) from error


def _stand_ins(spec: RunSpec, classes: int, tensors: Mapping[str, Tensor], folder: Path) -> Given:
    """Write what a method with a class relation reads when it is built, from the run's own tensors.

    Such a method learns the shapes of the source classifier and of the matrix from files. Their values are
    replaced by the final weights.
    """
    if spec.relation is None or not {MATRIX, f"{SOURCE}weight", f"{SOURCE}bias"} <= tensors.keys():
        return Given()
    model = load_part("backbone", spec.settings["backbone"], classes)
    _, classifier = pooled(model)
    place = next(name for name, module in model.named_modules() if module is classifier)
    start = {
        f"model.{name.removeprefix(ENCODER)}": value
        for name, value in tensors.items()
        if name.startswith(ENCODER)
    }
    start |= {f"model.{place}.{kind}": tensors[f"{SOURCE}{kind}"] for kind in ("weight", "bias")}
    given = Given(folder / "weights.safetensors", folder / "relation.safetensors")
    assert given.weights is not None
    assert given.relation is not None
    safetensors.torch.save_file(start, given.weights)
    safetensors.torch.save_file({MATRIX: tensors[MATRIX]}, given.relation)
    return given
