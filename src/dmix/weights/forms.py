"""Forms of a network's weights: torchvision's, timm's, or a plain state dict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dmix import vision
from dmix.backbones.backbone import Backbone
from dmix.backbones.timm import Timm
from dmix.errors import DmixError
from dmix.grid.parts import read_part
from dmix.grid.spec import RunSpec

FAMILIES = ("resnet", "resnext", "wide_resnet")
"""How torchvision's names of ResNets begin; timm has the same names."""

PLAIN = "--to state_dict is always possible"


@dataclass(frozen=True)
class Form:
    """A network in the form of a library.

    Attributes
    ----------
    network: its name there. tensors: by their names there. build: makes the network, with other weights.
    lines: of Python, which do the same, for people.
    """

    network: str
    tensors: Mapping[str, Tensor]
    build: Callable[[], nn.Module]
    lines: tuple[str, ...]


def to_torchvision(spec: RunSpec, model: Backbone) -> Form:
    """Return the form of torchvision's ResNet, ResNeXt or Wide ResNet.

    Raises
    ------
    DmixError: torchvision has no such network.
    """
    name, tensors = _published_resnet("torchvision", spec, model)
    classes = spec.settings["dataset"]["classes"]
    return Form(
        f"torchvision.models.{name}",
        tensors,
        lambda: _made(vision.torchvision().models.get_model(name, num_classes=classes)),
        ("import torchvision", f"network = torchvision.models.{name}(num_classes={classes})"),
    )


def to_timm(spec: RunSpec, model: Backbone) -> Form:
    """Return the form of timm's network.

    Raises
    ------
    DmixError: timm has no such network.
    """
    settings, classes = spec.settings["backbone"], spec.settings["dataset"]["classes"]
    use = settings["use"]
    if use == "timm":
        assert isinstance(model, Timm)
        fixed = {} if model.fixed_size is None else {"img_size": model.fixed_size[0]}
        return _created(settings["name"], {"num_classes": classes, **fixed}, _published(model))
    if use == "vit":
        kept = {
            "embed_dim": "embed_dim",
            "patch_size": "patch_size",
            "image_size": "img_size",
            "heads": "num_heads",
        }
        given = {theirs: settings[own] for own, theirs in kept.items()} | {"depth": sum(settings["layers"])}
        return _constructed("VisionTransformer", {**given, "num_classes": classes}, model)
    if use == "swin":
        kept = {"embed_dim": "embed_dim", "patch_size": "patch_size", "image_size": "img_size"}
        kept |= {"window_size": "window_size", "heads": "num_heads", "layers": "depths"}
        given = {theirs: settings[own] for own, theirs in kept.items()}
        return _constructed("SwinTransformer", {**given, "num_classes": classes}, model)
    name, tensors = _published_resnet("timm", spec, model)
    return _created(name, {"num_classes": classes}, tensors)


def _published_resnet(library: str, spec: RunSpec, model: Backbone) -> tuple[str, Mapping[str, Tensor]]:
    """Return the name that both libraries give the network, and its tensors by their names.

    Raises
    ------
    DmixError: the library has no such network.
    """
    settings = spec.settings["backbone"]
    if settings["use"] != "resnet":
        raise _refused(library, f"it has none like {settings['use']}", spec)
    if settings["stem"] != "imagenet":
        raise _refused(library, _STEM, spec)
    tensors = _published(model)
    name = _torchvision_name(tensors)
    if name is None:
        raise _refused(library, "its ResNets have other numbers of blocks and channels", spec)
    return name, tensors


def to_state_dict(spec: RunSpec, model: Backbone) -> Form:
    """Return a plain state dict.

    A ResNet with a stem for small images has torchvision's names where torchvision's network is the same but
    for the stem, which two lines replace. Others have dmix's names.
    """
    settings, classes = spec.settings["backbone"], spec.settings["dataset"]["classes"]
    if settings["use"] == "resnet" and settings["stem"] == "cifar":
        tensors = _published(model)
        name, width = _torchvision_name(tensors, but="conv1.weight"), settings["width"]
        if name is not None:
            return Form(
                f"torchvision.models.{name} with a stem for small images",
                tensors,
                lambda: _small_stem(name, classes, width),
                (
                    "import torch, torchvision",
                    f"network = torchvision.models.{name}(num_classes={classes})",
                    f"network.conv1 = torch.nn.Conv2d(3, {width}, 3, padding=1, bias=False)",
                    "network.maxpool = torch.nn.Identity()",
                ),
            )
    part = read_part("backbone", settings["use"])
    assert part is not None  # the model was made of it
    given = {key: value for key, value in settings.items() if key != "use"}
    kind = type(model)
    return Form(
        f"{part.module}.{part.attribute}",
        model.state_dict(),
        lambda: kind(classes, **given),
        (
            f"from {part.module} import {part.attribute}",
            f"network = {part.attribute}({classes}, {_arguments(given)})",
        ),
    )


FORMS: Mapping[str, Callable[[RunSpec, Backbone], Form]] = {
    "torchvision": to_torchvision,
    "timm": to_timm,
    "state_dict": to_state_dict,
}

_STEM = (
    "its ResNets begin with a 7x7 convolution of stride 2 and a max-pool, this one with the stem for small "
    "images, a 3x3 convolution of stride 1"
)


def _refused(library: str, why: str, spec: RunSpec) -> DmixError:
    return DmixError(f"{library} has no such network as that of {spec.name}: {why}", PLAIN)


def _published(model: Backbone) -> Mapping[str, Tensor]:
    return {model.published_name(name): tensor for name, tensor in model.state_dict().items()}


def _torchvision_name(tensors: Mapping[str, Tensor], but: str = "") -> str | None:
    """Return the name of torchvision's ResNet with tensors of these names and shapes, `but` one; or None."""
    models = vision.torchvision().models
    classes = len(tensors["fc.bias"])
    wanted = {name: tensor.shape for name, tensor in tensors.items() if name != but}
    for name in models.list_models(module=models):
        if name.startswith(FAMILIES):
            with torch.device("meta"):
                theirs = models.get_model(name, num_classes=classes).state_dict()
            if {key: tensor.shape for key, tensor in theirs.items() if key != but} == wanted:
                return str(name)
    return None


def _small_stem(name: str, classes: int, width: int) -> nn.Module:
    network = vision.torchvision().models.get_model(name, num_classes=classes)
    network.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    return _made(network)


def _created(name: str, given: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Form:
    """Return the form of a network that timm makes by its name."""
    call = f"timm.create_model({name!r}, {_arguments(given)})"
    return Form(
        f"timm {name}",
        tensors,
        lambda: _made(vision.timm().create_model(name, pretrained=False, **given)),
        ("import timm", f"network = {call}"),
    )


def _constructed(kind: str, given: Mapping[str, Any], model: Backbone) -> Form:
    """Return the form of a transformer of timm; its tensors are in the order of timm's."""

    def build() -> nn.Module:
        return _made(getattr(vision.timm().models, kind)(**given))

    names = build().state_dict()
    return Form(
        f"timm.models.{kind}",
        dict(zip(names, model.state_dict().values(), strict=True)),
        build,
        ("import timm", f"network = timm.models.{kind}({_arguments(given)})"),
    )


def _made(network: Any) -> nn.Module:
    assert isinstance(network, nn.Module)
    return network


def _arguments(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in given.items())
