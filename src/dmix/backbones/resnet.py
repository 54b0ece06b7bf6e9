"""ResNet (He et al., 2016) and ResNeXt (Xie et al., 2017), with stems for small and for large images."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Len
from torch import Tensor, nn

from dmix.backbones.backbone import Backbone
from dmix.backbones.pretrained import fresh_classifier
from dmix.part import part

# Patterns of our tensor names, which `published_name` translates to torchvision's.
STEM = re.compile(r"stem\.([01])\.(\w+)")
BLOCK = re.compile(r"stages\.(\d+)\.(\d+)\.(body|shortcut)\.(\d+)\.(\w+)")
CLASSIFIER = re.compile(r"head\.2\.(\w+)")
KINDS = ("conv", "bn", "relu")  # the layers of a block's body, repeated


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Return a same-padded convolution without bias."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)


class PointwiseConv(nn.Conv2d):
    """A 1x1 convolution of every `step`-th row and column, without bias; equals one of stride `step`.

    On CPUs, oneDNN computes a wrong weight gradient of the strided convolution, and writes past a buffer, if
    channels_last images have fewer channels than a vector register holds: 8 with AVX2, 16 with AVX-512
    (oneDNN issue 6035; torch 2.13.0 and 2.14.1). The small tiers' networks have so few.
    """

    def __init__(self, inputs: int, outputs: int, step: int) -> None:
        super().__init__(inputs, outputs, 1, bias=False)
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H / step, W / step), rounded up."""
        return super().forward(x[:, :, :: self.step, :: self.step])


class Residual(nn.Module):
    """relu(body(x) + shortcut(x)); the shortcut is a strided 1x1 convolution if shapes differ."""

    def __init__(self, body: nn.Module, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = body
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(PointwiseConv(inputs, outputs, stride), nn.BatchNorm2d(outputs))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, (N, outputs, H / stride, W / stride)."""
        out: Tensor = self.relu(self.body(x) + self.shortcut(x))
        return out


def basic_block(inputs: int, outputs: int, stride: int) -> Residual:
    """Return a block of two 3x3 convolutions."""
    body = nn.Sequential(
        conv(inputs, outputs, 3, stride),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        conv(outputs, outputs, 3),
        nn.BatchNorm2d(outputs),
    )
    return Residual(body, inputs, outputs, stride)


def bottleneck_block(inputs: int, outputs: int, stride: int, inner: int, groups: int) -> Residual:
    """Return a block of a 1x1, a grouped 3x3 (which has the stride) and a 1x1 convolution."""
    body = nn.Sequential(
        conv(inputs, inner, 1),
        nn.BatchNorm2d(inner),
        nn.ReLU(inplace=True),
        conv(inner, inner, 3, stride, groups),
        nn.BatchNorm2d(inner),
        nn.ReLU(inplace=True),
        conv(inner, outputs, 1),
        nn.BatchNorm2d(outputs),
    )
    return Residual(body, inputs, outputs, stride)


def cifar_stem(width: int) -> nn.Sequential:
    """Return a stem that keeps the resolution: a 3x3 convolution of stride 1, no max-pool."""
    return nn.Sequential(conv(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(inplace=True))


def imagenet_stem(width: int) -> nn.Sequential:
    """Return a stem that quarters the resolution: a 7x7 convolution of stride 2 and a max-pool."""
    return nn.Sequential(
        conv(3, width, 7, 2), nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1)
    )


STEMS = {"cifar": cifar_stem, "imagenet": imagenet_stem}


@part
class ResNet(Backbone):
    """A residual network; stage k, from 0, has width * 2^k channels (four times that with bottlenecks).

    Settings: `stem`, for small ("cifar") or large images; `block`, of two ("basic") or three convolutions;
    `layers`, blocks of each stage; `width`, channels of the stem; `groups` and `group_width`, of a bottleneck
    of inner width groups * group_width * 2^k: 1 and 64 is ResNet-50, 32 and 4 is ResNeXt-50 (32x4d);
    `initialisation` of weights that no file replaces: "torchvision" (convolutions from He et al.'s normal
    distribution of fan-out, all else as torch), "zero_residual" (besides, 0 for the scale of the last batch
    norm of each block, N(0, 0.01^2) for the classifier, and 0 for its bias) or "torch" (all as torch).
    """

    def __init__(
        self,
        classes: int,
        *,
        stem: Literal["cifar", "imagenet"],
        block: Literal["basic", "bottleneck"],
        layers: Annotated[tuple[int, ...], Len(1, 4)],
        width: Annotated[int, Gt(0)],
        groups: Annotated[int, Ge(1)] = 1,
        group_width: Annotated[int, Ge(0)] = 0,
        initialisation: Literal["torchvision", "zero_residual", "torch"] = "torchvision",
    ) -> None:
        super().__init__()
        expansion = 1 if block == "basic" else 4

        def make(inputs: int, outputs: int, stride: int, stage: int) -> Residual:
            if block == "basic":
                return basic_block(inputs, outputs, stride)
            return bottleneck_block(inputs, outputs, stride, groups * group_width * 2**stage, groups)

        self.channels = tuple(width * 2**stage * expansion for stage in range(len(layers)))
        self.stem = STEMS[stem](width)
        self.stages = nn.ModuleList()
        channels = width
        for stage, (depth, outputs) in enumerate(zip(layers, self.channels, strict=True)):
            blocks = []
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(make(channels, outputs, stride, stage))
                channels = outputs
            self.stages.append(nn.Sequential(*blocks))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
        if initialisation == "torch":
            return
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if initialisation == "zero_residual":
            for module in self.modules():
                if isinstance(module, Residual):
                    *_, last_norm = module.body.children()
                    assert isinstance(last_norm, nn.BatchNorm2d)
                    nn.init.zeros_(last_norm.weight)
            fresh_classifier(self)

    def published_name(self, name: str) -> str:
        """Return torchvision's name of the tensor `name`.

        For example, stem.0 is conv1, stages.1.0.body.3 is layer2.0.conv2, stages.1.0.shortcut.1 is
        layer2.0.downsample.1, head.2 is fc.
        """
        if found := STEM.fullmatch(name):
            return f"{KINDS[int(found[1])]}1.{found[2]}"
        if found := CLASSIFIER.fullmatch(name):
            return f"fc.{found[1]}"
        if found := BLOCK.fullmatch(name):
            stage, block, branch, place, tensor = found.groups()
            layer = f"layer{int(stage) + 1}.{block}"
            if branch == "shortcut":
                return f"{layer}.downsample.{place}.{tensor}"
            number, kind = divmod(int(place), len(KINDS))
            return f"{layer}.{KINDS[kind]}{number + 1}.{tensor}"
        return name
