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


SMALL = {
    "basic": {"block": "basic", "layers": (2, 1), "width": 8},
    "bottleneck": {"block": "bottleneck", "layers": (2, 1), "width": 8, "groups": 2, "group_width": 4},
}


BLOCKS = [(0, 0), (0, 1), (1, 0)]


def drawn(initialisation, name, stem="imagenet"):
    torch.manual_seed(3)
    return ResNet(50, stem=stem, **SMALL[name], initialisation=initialisation)


def layers_of(model, kind):
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, kind)}


def std_of_fan_out(conv):
    """As torch counts it, over all groups."""
    return (2 / (conv.out_channels * conv.weight[0, 0].numel())) ** 0.5


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_initial_weights_are_those_of_the_papers_code_base(name, stem):
    """Convolutions N(0, 2 / fan-out), the last scale of each block 0, the classifier N(0, 0.01^2), bias 0."""
    model = drawn("zero_residual", name, stem)
    last = {f"stages.{stage}.{block}.body.{4 if name == 'basic' else 7}" for stage, block in BLOCKS}
    norms = layers_of(model, torch.nn.BatchNorm2d)
    assert last < norms.keys()
    for place, norm in norms.items():
        assert torch.equal(norm.weight, torch.full_like(norm.weight, place not in last)), place
        assert not norm.bias.any()
    scaled = [c.weight.flatten() / std_of_fan_out(c) for c in layers_of(model, torch.nn.Conv2d).values()]
    assert torch.cat(scaled).std().item() == pytest.approx(1, rel=0.03)
    assert torch.cat(scaled).abs().max() > 3
    assert model.head[-1].weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert model.head[-1].weight.abs().max() > 0.025
    assert not model.head[-1].bias.any()


@pytest.mark.parametrize("name", SMALL)
def test_every_block_begins_as_its_shortcut(name):
    model = drawn("zero_residual", name)
    images = torch.randn(4, 3, 32, 32)
    state = model.stem(images)
    for stage in model.stages:
        for block in stage:
            found = block(state)
            assert torch.equal(found, block.shortcut(state).relu())
            state = found


@pytest.mark.parametrize("name", SMALL)
def test_other_initial_weights_are_torchvisions_and_torchs(name):
    """The first is the default."""
    plain, model = drawn("torch", name), drawn("torchvision", name)
    torch.manual_seed(3)
    usual = ResNet(50, stem="imagenet", **SMALL[name])
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), usual.parameters(), strict=True))
    bound = 1 / model.head[-1].in_features ** 0.5
    for one in (plain, model):
        assert all(norm.weight.eq(1).all() for norm in layers_of(one, torch.nn.BatchNorm2d).values())
        assert 0.9 * bound < one.head[-1].weight.abs().max() <= bound
        assert one.head[-1].bias.any()
    for conv in layers_of(plain, torch.nn.Conv2d).values():  # uniform within 1 / sqrt(fan-in)
        assert conv.weight.abs().max() <= conv.weight[0].numel() ** -0.5
    assert not torch.equal(plain.stem[0].weight, model.stem[0].weight)
