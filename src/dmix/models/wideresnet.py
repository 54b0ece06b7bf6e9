"""Wide ResNet (Zagoruyko & Komodakis, 2016): three groups of wide pre-activation blocks, for small images."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Lt
from torch import Tensor, nn

from dmix.errors import DmixError
from dmix.models.backbone import Backbone
from dmix.models.resnet import conv
from dmix.part import part

STEM_WIDTH = 16


class PreActivation(nn.Module):
    """shortcut + body(relu(bn(x))): two 3x3 convolutions with dropout between them (their B(3,3)).

    The shortcut is x itself, or a strided 1x1 convolution of relu(bn(x)) where shapes differ.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.activation = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(inplace=True))
        self.body = nn.Sequential(
            conv(inputs, outputs, 3, stride),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            conv(outputs, outputs, 3),
        )
        projects = stride != 1 or inputs != outputs
        self.projection = conv(inputs, outputs, 1, stride) if projects else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, (N, outputs, H / stride, W / stride)."""
        active = self.activation(x)
        shortcut = x if self.projection is None else self.projection(active)
        out: Tensor = shortcut + self.body(active)
        return out


@part
class WideResNet(Backbone):
    """WRN-depth-widen: groups of width 16, 32 and 64 times `widen` at strides 1, 2 and 2.

    Every group has (depth - 4) / 6 blocks. The network's last BN and ReLU close the third group, so that
    the head is pooling and classifier alone.

    Settings: `dropout` is the probability between the two convolutions of a block.

    Raises
    ------
    DmixError: no whole number of blocks has this depth.
    """

    def __init__(
        self,
        classes: int,
        *,
        depth: Annotated[int, Ge(10)],
        widen: Annotated[int, Ge(1)],
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
    ) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 4, 6)
        if rest:
            raise DmixError(
                f"backbone.depth: a Wide ResNet cannot have {depth} layers, they are 4 and 6 for each block",
                f"set it to {depth - rest} or {depth - rest + 6}",
            )
        self.channels = (16 * widen, 32 * widen, 64 * widen)
        self.stem = conv(3, STEM_WIDTH, 3)
        self.stages = nn.ModuleList()
        inputs = STEM_WIDTH
        for outputs, stride in zip(self.channels, (1, 2, 2), strict=True):
            group = nn.Sequential(PreActivation(inputs, outputs, stride, dropout))
            group.extend(PreActivation(outputs, outputs, 1, dropout) for _ in range(blocks - 1))
            self.stages.append(group)
            inputs = outputs
        group.extend([nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)])
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
