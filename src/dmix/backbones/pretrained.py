"""Weights to start from: torchvision's of ImageNet, or a finished run's. All but the head is copied."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from dmix.backbones.backbone import Backbone
from dmix.errors import DmixError

CHECKSUM = re.compile(r"-([a-f0-9]{8,})\.")  # in a file's name: how its sha256 begins (torch hub)
CLASSIFIER = ("fc.weight", "fc.bias")
HEAD = "model.head."  # how names in a run's file begin
# Of batch normalisation. Files that were first made before torch 0.4.1 have none; torch then starts at 0.
COUNTER = "num_batches_tracked"
STEM = re.compile(r"stem\.([01])\.(\w+)")
BLOCK = re.compile(r"stages\.(\d+)\.(\d+)\.(body|shortcut)\.(\d+)\.(\w+)")
KINDS = ("conv", "bn", "relu")  # the layers of a block's body, over and over
WAY_OUT = "dmix doctor says how to get it"
OTHER = "choose weights of the run's backbone in params.yaml"


def load_torchvision(model: Backbone, path: Path) -> None:
    """Copy the ImageNet weights of torchvision's ResNet or ResNeXt into a `dmix.backbones.resnet.ResNet`.

    Names decide what goes where, not their order. Nothing is copied where anything does not fit.

    Parameters
    ----------
    model: any backbone, so that runs of other backbones do not depend on the source of this one; one that
        is no ResNet is refused, because its names are not those in the file.
    path: a state dict under the name it is published by, which ends with the start of its sha256, as
        resnet18-f37072fd.pth.

    Raises
    ------
    DmixError: the file is missing or damaged, or its tensors are not those of the network.
    """
    found = _of_torchvision(path)
    body = {torchvision_name(name): tensor for name, tensor in _body(model).items()}
    counters = {name: torch.zeros_like(tensor) for name, tensor in body.items() if name.endswith(COUNTER)}
    theirs = {name: tensor for name, tensor in found.items() if name not in CLASSIFIER}
    _fill(body, {**counters, **theirs}, path)


def load_run(model: Backbone, path: Path) -> None:
    """Copy the weights of a finished run's network into `model`, which may have another number of classes.

    Nothing is copied where anything does not fit. What the run's policy learned beside its network is not
    looked at.

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
        if name.startswith("model.") and not name.startswith(HEAD)
    }
    _fill(body, theirs, path)


def fresh_classifier(model: Backbone) -> None:
    """Draw the last linear layer of the head anew: weights normal (0, 0.01), biases 0.

    As OpenMixup does for a classifier on pretrained weights. Draws from torch's global generator.
    """
    *_, last = (module for module in model.head.modules() if isinstance(module, nn.Linear))
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)


def source_classifier(path: Path, *, from_run: bool) -> nn.Linear:
    """Return the classifier that the pre-trained network ends with: features (N, d) to logits (N, S).

    Float32, to be trained further. Draws no random numbers.

    Parameters
    ----------
    path: a file as `load_run` reads it where `from_run` is true, else as `load_torchvision` does.

    Raises
    ------
    DmixError: the file is missing or damaged, or has no linear layer with a bias in that place.
    """
    found = _of_run(path) if from_run else _of_torchvision(path)
    names = _last_of_head(found) if from_run else CLASSIFIER
    if missing := [name for name in names if name not in found]:
        raise DmixError(f"the weights {path} have no classifier: there is no {missing[0]}", OTHER)
    weight, bias = (found[name] for name in names)
    if weight.dim() != 2 or bias.shape != weight.shape[:1]:
        shapes = f"{names[0]} is {tuple(weight.shape)}, {names[1]} is {tuple(bias.shape)}"
        raise DmixError(f"the weights {path} have no classifier: {shapes}", OTHER)
    # on no device, where no weights are drawn that would advance torch's global generator
    classifier = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    classifier.weight, classifier.bias = nn.Parameter(weight.float()), nn.Parameter(bias.float())
    return classifier


def torchvision_name(name: str) -> str:
    """Return what torchvision calls the tensor `name` of a ResNet's body; other names stay as they are.

    stem.0 is conv1, stages.1.0.body.3 is layer2.0.conv2, stages.1.0.shortcut.1 is layer2.0.downsample.1.
    """
    if found := STEM.fullmatch(name):
        return f"{KINDS[int(found[1])]}1.{found[2]}"
    if found := BLOCK.fullmatch(name):
        stage, block, branch, place, tensor = found.groups()
        layer = f"layer{int(stage) + 1}.{block}"
        if branch == "shortcut":
            return f"{layer}.downsample.{place}.{tensor}"
        number, kind = divmod(int(place), len(KINDS))
        return f"{layer}.{KINDS[kind]}{number + 1}.{tensor}"
    return name


def _body(model: Backbone) -> dict[str, Tensor]:
    """Return parameters and buffers of all but the head, by name; writing to them changes the model."""
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("head.")}


def _of_torchvision(path: Path) -> Mapping[str, Tensor]:
    """Return the tensors of a file of torchvision, whose name says how its sha256 begins."""
    data = _read(path, WAY_OUT)
    checksum = CHECKSUM.search(path.name)
    if checksum is None:
        raise DmixError(
            f"{path} cannot be checked: its name does not end with the start of its sha256",
            f"give it the name it was published by; {WAY_OUT}",
        )
    if not hashlib.sha256(data).hexdigest().startswith(checksum[1]):
        raise DmixError(
            f"{path} is damaged: its sha256 does not begin with {checksum[1]}",
            f"delete it; {WAY_OUT}",
        )
    try:
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what its formats happen to run into
        raise _no_weights(path) from error
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise _no_weights(path)
    return found


def _of_run(path: Path) -> Mapping[str, Tensor]:
    """Return the tensors that a run left."""
    data = _read(path, "get the run's weights (dvc pull), or remove its record.json and train it again")
    try:
        return dict(safetensors.torch.load(data))
    except safetensors.SafetensorError as error:
        raise _no_weights(path) from error


def _last_of_head(found: Mapping[str, Tensor]) -> tuple[str, str]:
    """Return the names of weight and bias of the last linear layer of a run's network."""
    layers = [
        name.removesuffix("weight")
        for name, tensor in found.items()
        if name.startswith(HEAD) and name.endswith(".weight") and tensor.dim() == 2
    ]
    # by number, because a file has its tensors in the order of their names
    last = max(layers, key=lambda name: [int(place) for place in re.findall(r"\d+", name)], default=HEAD)
    return f"{last}weight", f"{last}bias"


def _read(path: Path, way_out: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DmixError(f"cannot read the weights {path}: {error.strerror}", way_out) from error


def _no_weights(path: Path) -> DmixError:
    return DmixError(f"{path} is damaged, or no file of weights", "delete it and get it again")


def _fill(body: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path) -> None:
    """Copy `found` into `body`, whose names and shapes it must have, all of them and no more."""
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
