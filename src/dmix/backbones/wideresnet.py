"""Wide ResNet (Zagoruyko & Komodakis, 2016) for small images, in its semi-supervised variant.

It is TorchSSL's (Zhang et al., 2021, models/nets/wrn.py), after FixMatch's TensorFlow code: leaky ReLUs,
biases in all convolutions, batch norms with large epsilon and small momentum, no dropout.
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
SLOPE = 0.1  # negative slope of the activation


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Return a same-padded convolution with bias."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)


def activation(channels: int, momentum: float) -> nn.Sequential:
    """Return a batch norm with `momentum` (weight of a batch in running statistics) and a leaky ReLU."""
    return nn.Sequential(nn.BatchNorm2d(channels, NORM_EPS, momentum), nn.LeakyReLU(SLOPE, inplace=True))


class PreActivation(nn.Module):
    """shortcut + body(h) for h = act(bn(x)); the body is convolution, batch norm, activation, convolution.

    The shortcut is x or, if shapes differ, a strided 1x1 convolution.

    Parameters
    ----------
    norm_momentum: of both batch norms.
    raw_projection: whether that convolution reads x, else h.
    raw_body: whether the body reads x, too. Then h is unused: its batch norm still updates its statistics,
        but its parameters require no gradient (training in several processes needs one for all that do).
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
    """WRN-depth-widen: three stages with 16, 32 and 64 times `widen` channels and strides 1, 2 and 2.

    Every stage has (depth - 4) / 6 blocks. The network's last batch norm and activation belong to the third
    stage, so the head is only pooling and classifier. Weights are initialised as in TorchSSL: convolutions as
    in He et al. (2015) by fan-out, the classifier as in Glorot & Bengio (2010), with a bias of 0.

    Settings: `depth`, number of layers; `widen`, factor of the width; `preact_quirk`, whether the first block
    of the second and third stage convolves its input without norm and activation, as in TorchSSL (not in
    FixMatch's TensorFlow code), so that the parameters of two norms are unused and stay at 1 and 0;
    `norm_momentum`, weight of a batch in the running statistics, 0.001 in TorchSSL: after t steps these still
    hold a share of 0.999^t of their initial values, so short runs need more.

    Raises
    ------
    DmixError: depth - 4 is not a multiple of 6.
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
        """Draw the weights; biases of convolutions and batch norms keep torch's initial values."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)
