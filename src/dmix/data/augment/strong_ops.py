"""RandAugment's fourteen operations as in TorchSSL, batched, with an operation per sample.

Every operation equals Pillow's bit for bit: integers where Pillow has integers, else floats of the same
width, multiplied and added in the same order. A sample's result does not depend on the rest of the batch.

The device changes how operations are computed, but no result. On a GPU every image goes through every
operation and the drawn one is kept: shapes are the same in every batch, so the host never waits for the
number of samples per operation. The extra arithmetic is cheap, because for such small images launching a
kernel costs more than running it. On a CPU arithmetic is what costs, so an operation is computed only for the
samples that drew it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dmix.data.augment import strong_geometry as geometry

RANGES: dict[str, tuple[float, float]] = {
    "AutoContrast": (0.0, 0.0),  # takes no value, like Equalize and Identity
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
"""Range of each operation's value. An operation's number is its position here."""

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
    """Draw numbers of operations, with replacement, and their values, both (n, operations)."""
    numbers = rng.integers(len(RANGES), size=(n, operations))
    low, high = np.array(list(RANGES.values())).T
    return numbers, low[numbers] + (high - low)[numbers] * rng.random((n, operations))


def rand_augment(images: Tensor, numbers: Tensor, values: Tensor) -> Tensor:
    """Apply to each image of uint8 (N, 3, H, W) its own operations, in the order of columns.

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
    """Apply `operation` to the `chosen` images, bool (N,), and return all images.

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
    # 255 as a tensor: torch divides a number by a tensor through its reciprocal, which rounds twice
    scale = torch.full_like(high, 255.0) / (high - low).clamp(min=1)
    stretched = (images * scale + -low * scale).clamp(0, 255).to(torch.uint8)
    return torch.where(high > low, stretched, images)


def equalize(images: Tensor, value: Tensor) -> Tensor:
    """Equalise the histogram of each channel."""
    del value
    n, channels, height, width = images.shape
    level = images.reshape(n * channels, height * width).long()
    first = torch.arange(n * channels, device=images.device)[:, None] * 256
    # over one axis, because scatter_add is then deterministic on every device
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
    """Keep the upper bits of each level: `value` rounded down, 1 to 8."""
    dropped = 8 - value.long().clamp(1, 8)
    kept = 256 - torch.bitwise_left_shift(torch.ones_like(dropped), dropped)
    return images & kept.to(torch.uint8)[:, None, None, None]


def solarize(images: Tensor, value: Tensor) -> Tensor:
    """Invert levels of at least `value`."""
    return torch.where(images < value[:, None, None, None], images, 255 - images)


def brightness(images: Tensor, value: Tensor) -> Tensor:
    """Blend with black."""
    return _blended(torch.zeros((), device=images.device), images, value)


def colour(images: Tensor, value: Tensor) -> Tensor:
    """Blend with the greyscale image."""
    return _blended(_grey(images), images, value)


def contrast(images: Tensor, value: Tensor) -> Tensor:
    """Blend with the mean level of the greyscale image."""
    pixels = images.shape[2] * images.shape[3]
    total = _grey(images).sum((2, 3), keepdim=True, dtype=torch.int64)
    return _blended((2 * total + pixels) // (2 * pixels), images, value)


def sharpness(images: Tensor, value: Tensor) -> Tensor:
    """Blend with the image smoothed by a 3 by 3 kernel whose centre weighs 5 of 13; borders stay."""
    levels = images.short()
    rows = levels[:, :, :-2] + levels[:, :, 1:-1] + levels[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * levels[:, :, 1:-1, 1:-1]
    # to the nearest level; a thirteenth is never halfway between two, so float32 rounds it correctly
    smooth = torch.floor(total.float() * (1 / 13) + 0.5)
    result = images.clone()
    result[:, :, 1:-1, 1:-1] = _blended(smooth, images[:, :, 1:-1, 1:-1], value)
    return result


def _grey(images: Tensor) -> Tensor:
    """Return int32 (N, 1, H, W), 0..255: Rec. 601's luma, computed in units of 2^-16."""
    red, green, blue = images.int().chunk(3, 1)
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16


def _blended(base: Tensor, images: Tensor, share: Tensor) -> Tensor:
    """Return base + share * (images - base), rounded down, for `share` in 0..1.

    Like Pillow, in float32 and without the fused multiply-add of `torch.lerp`.
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
"""All operations but Identity and the geometric ones, which are computed together.

Each takes uint8 (N, 3, H, W) and float64 (N,) and returns uint8 (N, 3, H, W).
"""
