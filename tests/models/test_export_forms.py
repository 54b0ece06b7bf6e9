"""Networks in the forms of torchvision and timm: what a stranger's lines load computes the same logits."""

from __future__ import annotations

import pytest
import safetensors.torch
import torch
from torch import nn

from dmix import vision
from dmix.arguments import parser
from dmix.engine.parts import load_part
from dmix.errors import DmixError
from dmix.grid.parts import read_part
from dmix.grid.spec import RunSpec
from dmix.weights.forms import FORMS

BASIC = {"use": "resnet", "block": "basic", "width": 64}
BOTTLENECK = {"use": "resnet", "block": "bottleneck", "layers": [3, 4, 6, 3], "width": 64}
RESNET18 = {**BASIC, "layers": [2, 2, 2, 2]}
RESNEXT50 = {**BOTTLENECK, "groups": 32, "group_width": 4}
LARGE, SMALL = {"stem": "imagenet"}, {"stem": "cifar"}
VIT = {"use": "vit", "image_size": 32, "patch_size": 8, "embed_dim": 12, "layers": [1, 2], "heads": 2}
SWIN = {"use": "swin", "image_size": 32, "patch_size": 4, "window_size": 4, "embed_dim": 8}
SWIN |= {"layers": [1, 1], "heads": [1, 2]}
WIDE = {"use": "wideresnet", "depth": 10, "widen": 1, "preact_quirk": True, "norm_momentum": 0.1}
TIMM = {"use": "timm", "name": "test_efficientnet", "layers": [2, 1, 2], "image_size": 32}
CASES = {
    "resnet18": ({**RESNET18, **LARGE}, "torchvision", "torchvision.models.resnet18"),
    "resnet34": ({**BASIC, **LARGE, "layers": [3, 4, 6, 3]}, "torchvision", "torchvision.models.resnet34"),
    "resnet50": ({**BOTTLENECK, **LARGE, "group_width": 64}, "torchvision", "torchvision.models.resnet50"),
    "resnext50": ({**RESNEXT50, **LARGE}, "torchvision", "torchvision.models.resnext50_32x4d"),
    "wide50": (
        {**BOTTLENECK, **LARGE, "group_width": 128},
        "torchvision",
        "torchvision.models.wide_resnet50_2",
    ),
    "resnet18 of timm": ({**RESNET18, **LARGE}, "timm", "timm resnet18"),
    "resnext50 of timm": ({**RESNEXT50, **LARGE}, "timm", "timm resnext50_32x4d"),
    "vit": (VIT, "timm", "timm.models.VisionTransformer"),
    "swin": (SWIN, "timm", "timm.models.SwinTransformer"),
    "timm": (TIMM, "timm", "timm test_efficientnet"),
    "small stem": (
        {**RESNET18, **SMALL},
        "state_dict",
        "torchvision.models.resnet18 with a stem for small images",
    ),
    "small stem, resnext": (
        {**RESNEXT50, **SMALL},
        "state_dict",
        "torchvision.models.resnext50_32x4d with a stem for small images",
    ),
    "other sizes": (
        {**BASIC, **SMALL, "layers": [1, 1, 1], "width": 4},
        "state_dict",
        "dmix.backbones.resnet.ResNet",
    ),
    "wrn": (WIDE, "state_dict", "dmix.backbones.wideresnet.WideResNet"),
    "vit, plain": (VIT, "state_dict", "dmix.backbones.vit.ViT"),
}
CLASSES = 7
NAME = "supervised/imagenet/network/cutmix/dm_ce/s0"


def spec_of(backbone):
    known = read_part("backbone", backbone["use"]).neutral
    settings = {"backbone": {**known, **backbone}, "dataset": {"classes": CLASSES}}
    axes = dict(zip(("method", "dataset", "backbone", "policy", "objective"), NAME.split("/"), strict=False))
    return RunSpec("supervised", axes, settings, (), {}, 0)


def network_of(spec):
    """The network, its norms and biases moved from 0 and 1, at which a wrong place would not show."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = load_part("backbone", spec.settings["backbone"], CLASSES)
    generator = torch.Generator().manual_seed(1)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point() and tensor.dim() == 1:  # of norms, and biases: the others are drawn
            tensor.mul_(torch.rand(tensor.shape, generator=generator) + 0.5).add_(0.01)
    return model.eval()


def stranger(form, path) -> nn.Module:
    """The network that the lines of a form make, without any of dmix's own names at hand."""
    vision.timm()  # imports torchvision in the way that works beside a CPU build of torch
    at_hand: dict = {}
    exec("\n".join(form.lines), at_hand)
    network = at_hand["network"]
    network.load_state_dict(safetensors.torch.load_file(path))
    return network.eval()


@pytest.fixture
def one_algorithm():
    """Without oneDNN, which rounds torchvision's strided 1x1 convolution otherwise than dmix's of a slice."""
    torch.backends.mkldnn.set_flags(_enabled=False)
    yield
    torch.backends.mkldnn.set_flags(_enabled=True)


@pytest.mark.usefixtures("one_algorithm")
@pytest.mark.parametrize("case", CASES)
def test_the_lines_of_a_form_load_a_network_with_the_same_logits(case, tmp_path):
    backbone, to, name = CASES[case]
    spec = spec_of(backbone)
    model = network_of(spec)
    form = FORMS[to](spec, model)
    assert form.network == name
    path = tmp_path / "network.safetensors"
    safetensors.torch.save_file({key: value.contiguous() for key, value in form.tensors.items()}, path)
    theirs = stranger(form, path)
    if not name.startswith("dmix"):
        assert type(theirs).__module__.startswith(("torchvision.", "timm."))
    side = backbone.get("image_size") or 32
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = model(images)
        assert expected.isfinite().all()
        assert torch.equal(theirs(images), expected)


def test_the_command_offers_every_form():
    for form in FORMS:
        assert parser().parse_args(["weights", NAME, "--to", form]).to == form
    with pytest.raises(SystemExit):
        parser().parse_args(["weights", NAME, "--to", "onnx"])


@pytest.mark.parametrize(
    ("backbone", "to", "why"),
    [
        ({**RESNET18, **SMALL}, "torchvision", "this one with the stem for small images"),
        ({**RESNET18, **SMALL}, "timm", "this one with the stem for small images"),
        ({**BASIC, **LARGE, "layers": [1, 1, 1], "width": 8}, "torchvision", "other numbers of blocks"),
        ({**BASIC, **LARGE, "layers": [1, 1, 1, 1]}, "timm", "other numbers of blocks and channels"),
        (WIDE, "torchvision", "it has none like wideresnet"),
        (WIDE, "timm", "it has none like wideresnet"),
        (VIT, "torchvision", "it has none like vit"),
    ],
)
def test_a_library_without_such_a_network_is_named(backbone, to, why):
    spec = spec_of(backbone)
    with pytest.raises(DmixError, match=f"^{to} has no such network as that of {NAME}: ") as caught:
        FORMS[to](spec, network_of(spec))
    assert why in caught.value.message
    assert caught.value.way_out == "--to state_dict is always possible"
