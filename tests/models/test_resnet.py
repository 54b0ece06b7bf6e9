from __future__ import annotations

import pytest
import torch

from dmix import vision
from dmix.backbones.resnet import PointwiseConv, ResNet

BASIC_18 = {"block": "basic", "layers": (2, 2, 2, 2), "width": 64}
BASIC_34 = {"block": "basic", "layers": (3, 4, 6, 3), "width": 64}
BOTTLENECK_50 = {"block": "bottleneck", "layers": (3, 4, 6, 3), "width": 64}
RESNET_50 = {**BOTTLENECK_50, "groups": 1, "group_width": 64}
RESNEXT_50 = {**BOTTLENECK_50, "groups": 32, "group_width": 4}


def on_meta(classes, **settings):
    with torch.device("meta"):
        return ResNet(classes, **settings)


@pytest.mark.parametrize(
    ("classes", "stem", "settings", "parameters"),
    [
        (100, "cifar", BASIC_18, 11_220_132),
        (1000, "imagenet", BASIC_18, 11_689_512),
        (1000, "imagenet", BASIC_34, 21_797_672),
        (1000, "imagenet", RESNET_50, 25_557_032),
        (1000, "imagenet", RESNEXT_50, 25_028_904),
    ],
    ids=["resnet18-cifar", "resnet18", "resnet34", "resnet50", "resnext50"],
)
def test_parameters_are_counted_as_published(classes, stem, settings, parameters):
    model = on_meta(classes, stem=stem, **settings)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize(
    ("stem", "side", "sides"),
    [
        ("cifar", 32, [32, 16, 8, 4]),
        ("cifar", 64, [64, 32, 16, 8]),
        ("imagenet", 224, [56, 28, 14, 7]),
        ("imagenet", 32, [8, 4, 2, 1]),
    ],
)
@pytest.mark.parametrize(
    ("settings", "channels"),
    [(BASIC_18, [64, 128, 256, 512]), (RESNEXT_50, [256, 512, 1024, 2048])],
    ids=["resnet18", "resnext50"],
)
def test_stages_have_the_published_shapes(stem, side, sides, settings, channels):
    model = on_meta(10, stem=stem, **settings)
    images = torch.empty(2, 3, side, side, device="meta")
    shapes = [tuple(output.shape) for output in model.features(images)]
    assert shapes == [(2, c, s, s) for c, s in zip(channels, sides, strict=True)]
    assert model(images).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("resnet18", BASIC_18),
        ("resnet34", BASIC_34),
        ("resnet50", RESNET_50),
        ("resnext50_32x4d", RESNEXT_50),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_logits_are_those_of_torchvision(name, settings):
    """Weights are copied in order; non-square images; in evaluation and in training mode; in float64."""
    reference = vision.torchvision().models.get_model(name, num_classes=10).double()
    model = ResNet(10, stem="imagenet", **settings).double()
    generator = torch.Generator().manual_seed(0)
    for module in reference.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                tensor.uniform_(0.5, 1.5, generator=generator)
    pairs = zip(model.state_dict().values(), reference.state_dict().values(), strict=True)
    for own, theirs in pairs:
        assert own.shape == theirs.shape
        own.copy_(theirs)
    images = torch.randn(3, 3, 64, 48, generator=generator).double()
    with torch.no_grad():
        for mode in (False, True):
            found, expected = model.train(mode)(images), reference.train(mode)(images)
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("channels", [2, 4, 6, 8, 16])
def test_a_pointwise_convolution_is_exact_for_few_channels(channels, step):
    """A strided nn.Conv2d in its place aborts here, or has a wrong gradient (oneDNN issue 6035)."""
    generator = torch.Generator().manual_seed(channels)
    conv = PointwiseConv(channels, 8, step).to(memory_format=torch.channels_last)
    torch.nn.init.normal_(conv.weight, generator=generator)
    for side in (15, 16, 16, 16):
        images = torch.randn(100, channels, side, side, generator=generator)
        images = images.to(memory_format=torch.channels_last).requires_grad_()
        found = conv(images)
        (reached,) = torch.autograd.grad(found.square().sum() / 2, conv.weight)
        picked = images.detach()[:, :, ::step, ::step].double()
        expected = torch.einsum("nchw,oc->nohw", picked, conv.weight.detach()[:, :, 0, 0].double())
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)
        gradient = torch.einsum("nchw,nohw->oc", picked, expected)
        torch.testing.assert_close(reached[:, :, 0, 0].double(), gradient, rtol=1e-3, atol=1e-2)
