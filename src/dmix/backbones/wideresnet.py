"""Wide ResNet (Zagoruyko & Komodakis, 2016) as the semi-supervised literature has it, for small images.

TorchSSL's (Zhang et al., 2021, models/nets/wrn.py), after TensorFlow's FixMatch: leaky activations, biases in
all convolutions, batch norms of large epsilon and small momentum, no dropout.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from dmix.backbones.backbone import Backbone
from dmix.errors import DmixError
from dmix.part import part

STEM_WIDTH = 16
NORM_EPS = 1e-3
SLOPE = 0.1  # of the activation, below zero


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Return a same-padded convolution with bias."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)


def activation(channels: int, momentum: float) -> nn.Sequential:
    """Return a batch norm, whose running statistics move by `momentum`, and a leaky ReLU."""
    return nn.Sequential(nn.BatchNorm2d(channels, NORM_EPS, momentum), nn.LeakyReLU(SLOPE, inplace=True))


class PreActivation(nn.Module):
    """shortcut + body(h) for h = act(bn(x)); the body is convolution, batch norm, activation, convolution.

    The shortcut is x itself or, where shapes differ, a strided 1x1 convolution.

    Parameters
    ----------
    norm_momentum: of both batch norms.
    raw_projection: that convolution reads x; else h.
    raw_body: the body reads x as well. Nothing reads h then: its batch norm goes on counting, and is frozen
        because no gradient reaches it (several processes want one for all that is trained).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        norm_momentum: float,
        raw_projection: bool,
        raw_body: bool,
    ) -> None:
        super().__init__()
        self.raw_projection = raw_projection
        self.raw_body = raw_body
        self.activation = activation(inputs, norm_momentum).requires_grad_(not raw_body)
        self.body = nn.Sequential(
            conv(inputs, outputs, 3, stride),
            *activation(outputs, norm_momentum),
            conv(outputs, outputs, 3),
        )
        projects = stride != 1 or inputs != outputs
        self.projection = conv(inputs, outputs, 1, stride) if projects else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, (N, outputs, H / stride, W / stride)."""
        h = self.activation(x)
        shortcut = x
        if self.projection is not None:
            shortcut = self.projection(x if self.raw_projection else h)
        out: Tensor = shortcut + self.body(x if self.raw_body else h)
        return out


@part
class WideResNet(Backbone):
    """WRN-depth-widen: groups of width 16, 32 and 64 times `widen` at strides 1, 2 and 2.

    Every group has (depth - 4) / 6 blocks. The network's last batch norm and activation close the third
    group, so that the head is pooling and classifier alone. Weights start as TorchSSL's: convolutions as in
    He et al. (2015), by what goes out, the classifier as in Glorot & Bengio (2010), with a bias of 0.

    Settings: with `preact_quirk` the first blocks of the second and third group convolve their input without
    norm and activation, as in TorchSSL (not in TensorFlow's FixMatch); the factors of the two norms that
    nothing reads stay at 1 and 0. `norm_momentum` is the weight of a batch in the running statistics, 0.001
    in TorchSSL: after t steps these still hold a share of 0.999^t of their start, so short runs need more.

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
        preact_quirk: bool,
        norm_momentum: Annotated[float, Gt(0), Le(1)],
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
            later = stride == 2
            group = nn.Sequential(
                PreActivation(inputs, outputs, stride, norm_momentum, later, later and preact_quirk)
            )
            group.extend(
                PreActivation(outputs, outputs, 1, norm_momentum, False, False) for _ in range(blocks - 1)
            )
            self.stages.append(group)
            inputs = outputs
        group.extend(activation(inputs, norm_momentum))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))
        self._initialise()

    def _initialise(self) -> None:
        """Draw the weights; biases of convolutions are torch's own, batch norms start at 1 and 0."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)
