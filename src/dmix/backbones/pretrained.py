"""Load initial weights, all but the head's: published ImageNet weights, or those of a finished run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from dmix.backbones.backbone import Backbone
from dmix.backbones.weights_file import state_dict
from dmix.errors import DmixError

CHECKSUM = re.compile(r"-([a-f0-9]{8,})\.")  # in a file's name: the start of its sha256 (torch hub)
# Counter of batch norms. Files from before torch 0.4.1 have none; torch then starts at 0.
COUNTER = "num_batches_tracked"
WAY_OUT = "dmix doctor says how to get it"
OF_RUN = "get the run's weights (dvc pull), or remove its record.json and train it again"
OTHER = "choose weights of the run's backbone in params.yaml"


def load_published(model: Backbone, path: Path) -> None:
    """Copy published weights into `model`: torchvision's of ResNet and ResNeXt, timm's of networks of timm.

    Tensors are matched by name, not order (`Backbone.published_name`). If one does not fit, none are copied.

    Parameters
    ----------
    path: a state dict, or a checkpoint with one (see `weights_file`), whose name ends with the start of its
        sha256, such as resnet18-f37072fd.pth.

    Raises
    ------
    DmixError: the file is missing, damaged or something else, or its tensors are not those of the network.
    """
    found = _of_published(path)
    body = {model.published_name(name): tensor for name, tensor in _body(model).items()}
    counters = {name: torch.zeros_like(tensor) for name, tensor in body.items() if name.endswith(COUNTER)}
    classifier = [model.published_name(name) for name in _classifier(model)]
    theirs = {name: tensor for name, tensor in found.items() if name not in classifier}
    _fill(body, {**counters, **theirs}, path)


def load_run(model: Backbone, path: Path) -> None:
    """Copy the weights of a finished run's network into `model`, which may have another number of classes.

    If any tensor does not fit, none is copied. Weights of the run's policy are ignored.

    Parameters
    ----------
    path: the run's weights.safetensors.

    Raises
    ------
    DmixError: the file is missing or damaged, or its tensors are not those of the network.
    """
    found = _of_run(path)
    body = {f"model.{name}": tensor for name, tensor in _body(model).items()}
    theirs = {
        name: tensor
        for name, tensor in found.items()
        if name.startswith("model.") and not name.startswith("model.head.")
    }
    _fill(body, theirs, path)


def fresh_classifier(model: Backbone) -> None:
    """Re-initialise the last linear layer of the head: weights from N(0, 0.01^2), biases 0.

    OpenMixup does so for a classifier on pre-trained weights. Draws from torch's global generator.
    """
    *_, last = (module for module in model.head.modules() if isinstance(module, nn.Linear))
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)


def source_classifier(model: Backbone, path: Path, *, from_run: bool) -> nn.Linear:
    """Return the pre-trained network's classifier, features (N, d) to logits (N, S), float32 and trainable.

    Draws no random numbers.

    Parameters
    ----------
    model: a network whose classifier has the same name.
    path: a file of a run (see `load_run`) if `from_run`, else a published one (see `load_published`).

    Raises
    ------
    DmixError: the file is missing or damaged, or has no linear layer with a bias of that name.
    """
    found = _of_run(path) if from_run else _of_published(path)
    own = _classifier(model)
    names = [f"model.{name}" if from_run else model.published_name(name) for name in own]
    if missing := [name for name in names if name not in found]:
        raise DmixError(f"the weights {path} have no classifier: there is no {missing[0]}", OTHER)
    weight, bias = (found[name] for name in names)
    if weight.dim() != 2 or bias.shape != weight.shape[:1]:
        shapes = f"{names[0]} is {tuple(weight.shape)}, {names[1]} is {tuple(bias.shape)}"
        raise DmixError(f"the weights {path} have no classifier: {shapes}", OTHER)
    # on the meta device, so that initialisation does not advance torch's global generator
    classifier = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    classifier.weight, classifier.bias = nn.Parameter(weight.float()), nn.Parameter(bias.float())
    return classifier


def _body(model: Backbone) -> dict[str, Tensor]:
    """Return the parameters and buffers of all but the head, by name; writing to them changes the model."""
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("head.")}


def _classifier(model: Backbone) -> tuple[str, ...]:
    """Return the state-dict names of weight and bias of the head's last linear layer."""
    *_, last = (
        name for name, layer in model.head.named_modules(prefix="head") if isinstance(layer, nn.Linear)
    )
    return f"{last}.weight", f"{last}.bias"


def _of_published(path: Path) -> Mapping[str, Tensor]:
    """Return the tensors of a published file, whose name holds the start of its sha256."""
    data = _read(path, WAY_OUT)
    checksum, digest = CHECKSUM.search(path.name), hashlib.sha256(data).hexdigest()
    if checksum is None:
        raise DmixError(
            f"{path} cannot be checked: its name does not end with the start of its sha256",
            f"give it the name it was published by or, as it is, {path.stem}-{digest[:8]}{path.suffix}",
        )
    if not digest.startswith(checksum[1]):
        raise DmixError(
            f"{path} is damaged: its sha256 does not begin with {checksum[1]}",
            f"delete it; {WAY_OUT}",
        )
    return state_dict(data, path)


def _of_run(path: Path) -> Mapping[str, Tensor]:
    """Return the tensors of a run's weights file."""
    data = _read(path, OF_RUN)
    try:
        return dict(safetensors.torch.load(data))
    except safetensors.SafetensorError as error:
        raise DmixError(f"{path} is damaged, or no file of weights", OF_RUN) from error


def _read(path: Path, way_out: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DmixError(f"cannot read the weights {path}: {error.strerror}", way_out) from error


def _fill(body: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path) -> None:
    """Copy `found` into `body`; names and shapes must be exactly the same."""
    problems = [
        *(f"it has no {name}" for name in body if name not in found),
        *(f"its {name} has no place there" for name in found if name not in body),
        *(
            f"its {name} is {tuple(found[name].shape)}, not {tuple(own.shape)}"
            for name, own in body.items()
            if name in found and found[name].shape != own.shape
        ),
    ]
    if problems:
        raise DmixError(
            f"the weights {path} are of another network: {problems[0]}",
            OTHER,
        )
    for name, own in body.items():
        own.copy_(found[name])
