"""One small network of every family, each with three stages, and the images it takes."""

from __future__ import annotations

import torch

from dmix.backbones.resnet import ResNet
from dmix.backbones.swin import Swin
from dmix.backbones.timm import Timm
from dmix.backbones.vit import ViT
from dmix.backbones.wideresnet import WideResNet

CLASSES = 7
N = 5
RESNEXT = {"block": "bottleneck", "groups": 2, "group_width": 2}
SMALL = {
    "resnet": (ResNet, {"stem": "cifar", "block": "basic", "layers": (1, 1, 1), "width": 4}, (10, 12)),
    "resnext": (ResNet, {"stem": "imagenet", **RESNEXT, "layers": (1, 1, 1), "width": 4}, (24, 40)),
    "wideresnet": (
        WideResNet,
        {"depth": 10, "widen": 1, "preact_quirk": False, "norm_momentum": 0.1},
        (10, 12),
    ),
    "vit": (
        ViT,
        {"image_size": 12, "patch_size": 4, "embed_dim": 8, "layers": (1, 1, 2), "heads": 2},
        (12, 12),
    ),
    "swin": (
        Swin,
        {
            "image_size": 16,
            "patch_size": 2,
            "window_size": 4,
            "embed_dim": 8,
            "layers": (2, 1, 1),
            "heads": (1, 2, 4),
        },
        (16, 16),
    ),
    "timm": (Timm, {"name": "test_efficientnet", "layers": (2, 1, 2), "image_size": 32}, (32, 32)),
}


def small_backbone(name):
    """Return the network, its weights always the same, in training mode."""
    kind, settings, _ = SMALL[name]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return kind(CLASSES, **settings)


def images_for(name):
    """Return (N, 3, H, W) images of the size the network takes."""
    _, _, size = SMALL[name]
    return torch.randn(N, 3, *size, generator=torch.Generator().manual_seed(0))
