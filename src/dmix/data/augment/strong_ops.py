"""RandAugment's fourteen operations as TorchSSL has them, on a batch in which every sample has its own.

Every operation is Pillow's, bit for bit: integers where Pillow has integers, and where it multiplies and adds
real numbers, the same ones in the same width and order. Nothing depends on the other samples of a batch.

Where an operation is computed depends on the device, what comes out does not. On a GPU every image goes
through every operation and the chosen one is kept: shapes are then the same in every batch, and the host
never waits to be told how many samples chose what. That is more arithmetic than necessary, on images so small
that launching a kernel costs more than running it. On a CPU nothing is waited for and arithmetic is what
costs, so there an operation is computed for the samples that chose it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dmix.data.augment import strong_geometry as geometry

RANGES: dict[str, tuple[float, float]] = {
    "AutoContrast": (0.0, 0.0),  # has no value, like Equalize and Identity
    "Brightness": (0.05, 0.95),
    "Color": (0.05, 0.95),
    "Contrast": (0.05, 0.95),
    "Equalize": (0.0, 0.0),
    "Identity": (0.0, 0.0),
    "Posterize": (4.0, 8.0),
    geometry.ROTATE: (-30.0, 30.0),
    "Sharpness": (0.05, 0.95),
    geometry.SHEAR_X: (-0.3, 0.3),
    geometry.SHEAR_Y: (-0.3, 0.3),
    "Solarize": (0.0, 256.0),
    geometry.TRANSLATE_X: (-0.3, 0.3),
    geometry.TRANSLATE_Y: (-0.3, 0.3),
}
"""Of each operation, the values it is drawn from. An operation's number is its place here."""

NUMBERS = {name: number for number, name in enumerate(RANGES)}
MOVES = (
    geometry.ROTATE,
    geometry.SHEAR_X,
    geometry.SHEAR_Y,
    geometry.TRANSLATE_X,
    geometry.TRANSLATE_Y,
)


def draw_operations(
    n: int, operations: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return numbers of operations, drawn with replacement, and their values, both (n, operations)."""
    numbers = rng.integers(len(RANGES), size=(n, operations))
    low, high = np.array(list(RANGES.values())).T
    return numbers, low[numbers] + (high - low)[numbers] * rng.random((n, operations))


def rand_augment(images: Tensor, numbers: Tensor, values: Tensor) -> Tensor:
    """Return uint8 (N, 3, H, W), each image after its own operations, in the order of columns.

    Parameters
    ----------
    numbers: integers (N, operations).
    values: float64 (N, operations), each within the range of its operation.
    """
    result = images.clone(memory_format=torch.contiguous_format)
    for number, value in zip(numbers.unbind(1), values.unbind(1), strict=True):
        for name, operation in OPERATIONS.items():
            result = _where(number == NUMBERS[name], result, operation, value)
        kinds = {name: number == NUMBERS[name] for name in MOVES}
        moved = torch.stack(list(kinds.values())).any(0)
        result = _where(moved, result, _moved, value, *kinds.values())
    return result


def _where(chosen: Tensor, images: Tensor, operation: Callable[..., Tensor], *settings: Tensor) -> Tensor:
    """Return `images` with those that are chosen replaced by what `operation` makes of them.

    On a CPU this happens in place.
    """
    if images.device.type != "cpu":
        return torch.where(chosen[:, None, None, None], operation(images, *settings), images)
    rows = chosen.nonzero().squeeze(1)
    if len(rows):
        images[rows] = operation(images[rows], *(setting[rows] for setting in settings))
    return images


def _moved(images: Tensor, value: Tensor, *kinds: Tensor) -> Tensor:
    return geometry.transformed(images, dict(zip(MOVES, kinds, strict=True)), value)


def autocontrast(images: Tensor, value: Tensor) -> Tensor:
    """Stretch each channel so that its darkest level becomes 0 and its brightest 255."""
    del value
    low, high = images.amin((2, 3), keepdim=True).double(), images.amax((2, 3), keepdim=True).double()
    # 255 as a tensor: a number over a tensor is computed by the tensor's reciprocal, and rounded twice
    scale = torch.full_like(high, 255.0) / (high - low).clamp(min=1)
    stretched = (images * scale + -low * scale).clamp(0, 255).to(torch.uint8)
    return torch.where(high > low, stretched, images)


def equalize(images: Tensor, value: Tensor) -> Tensor:
    """Map the levels of each channel so that they are about equally frequent."""
    del value
    n, channels, height, width = images.shape
    level = images.reshape(n * channels, height * width).long()
    first = torch.arange(n * channels, device=images.device)[:, None] * 256
    # one axis, because adding up by an index is then deterministic on every device
    count = torch.zeros(n * channels * 256, dtype=torch.int64, device=images.device)
    count.scatter_add_(0, (level + first).flatten(), torch.ones_like(level).flatten())
    count = count.view(n * channels, 256)
    brightest = count.gather(1, level.amax(1, keepdim=True))
    step = (height * width - brightest) // 255
    below = count.cumsum(1) - count
    table = ((below + step // 2) // step.clamp(min=1)).clamp(max=255).to(torch.uint8)
    mapped = table.gather(1, level).view(images.shape)
    return torch.where((step > 0).view(n, channels, 1, 1), mapped, images)


def posterize(images: Tensor, value: Tensor) -> Tensor:
    """Keep the upper bits of each level, as many as `value` rounded down."""
    dropped = 8 - value.long().clamp(1, 8)
    kept = 256 - torch.bitwise_left_shift(torch.ones_like(dropped), dropped)
    return images & kept.to(torch.uint8)[:, None, None, None]


def solarize(images: Tensor, value: Tensor) -> Tensor:
    """Invert levels that are not below `value`."""
    return torch.where(images < value[:, None, None, None], images, 255 - images)


def brightness(images: Tensor, value: Tensor) -> Tensor:
    """Blend with black."""
    return _blended(torch.zeros((), device=images.device), images, value)


def colour(images: Tensor, value: Tensor) -> Tensor:
    """Blend with the image in grey."""
    return _blended(_grey(images), images, value)


def contrast(images: Tensor, value: Tensor) -> Tensor:
    """Blend with the mean level of the image in grey."""
    pixels = images.shape[2] * images.shape[3]
    total = _grey(images).sum((2, 3), keepdim=True, dtype=torch.int64)
    return _blended((2 * total + pixels) // (2 * pixels), images, value)


def sharpness(images: Tensor, value: Tensor) -> Tensor:
    """Blend with the image smoothed by 3 by 3 pixels, the middle one weighing 5 of 13; borders stay."""
    levels = images.short()
    rows = levels[:, :, :-2] + levels[:, :, 1:-1] + levels[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * levels[:, :, 1:-1, 1:-1]
    # to the nearest level; a thirteenth is never half way between two, so float32 cannot be wrong
    smooth = torch.floor(total.float() * (1 / 13) + 0.5)
    result = images.clone()
    result[:, :, 1:-1, 1:-1] = _blended(smooth, images[:, :, 1:-1, 1:-1], value)
    return result


def _grey(images: Tensor) -> Tensor:
    """Return int32 (N, 1, H, W): Rec. 601's luma, in 2^-16."""
    red, green, blue = images.int().chunk(3, 1)
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16


def _blended(base: Tensor, images: Tensor, share: Tensor) -> Tensor:
    """Return the levels on the way from `base` to `images` after `share`, 0..1, of it, rounded down.

    In float32 and without the fused multiply-add of `torch.lerp`, because so does Pillow.
    """
    base = base.float()
    return (base + share.float()[:, None, None, None] * (images.float() - base)).to(torch.uint8)


OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "AutoContrast": autocontrast,
    "Brightness": brightness,
    "Color": colour,
    "Contrast": contrast,
    "Equalize": equalize,
    "Posterize": posterize,
    "Sharpness": sharpness,
    "Solarize": solarize,
}
"""All but Identity, which is to do nothing, and the moves, which are computed together.

Each takes uint8 (N, 3, H, W) and float64 (N,) and returns uint8 (N, 3, H, W).
"""
