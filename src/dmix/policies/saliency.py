"""Fine-grained saliency (Montabone and Soto, 2010) as OpenCV computes it, on the device or on the host.

A pixel's saliency is its difference from the mean of a square around it, summed over six sizes of square,
separately for brighter and darker pixels, then added. OpenCV's detector expects 8-bit images; for those,
`fine_grained` equals its map byte for byte. Published SaliencyMix gives it float images, whose single bytes
it then reads as pixels; `opencv_fine_grained` calls OpenCV to reproduce that.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dmix.errors import DmixError

RADII = (12, 24, 48, 28, 56, 112)
# OpenCV's weights of grey: 15-bit fractions for blue, green, red. It takes the first channel for blue, but is
# given RGB, as in published SaliencyMix.
GREY = (3735, 19235, 9798)


def fine_grained(images: Tensor) -> Tensor:
    """Return the saliency (N, H, W) int32 in [0, 255] of RGB images (N, 3, H, W) uint8.

    It equals OpenCV's map from 2 to 65,793 pixels (256 x 257), above which OpenCV's float32 sums round.
    """
    grey = blur(blur(to_grey(images)))
    brighter = torch.zeros_like(grey)
    darker = torch.zeros_like(grey)
    sums = F.pad(grey, (1, 0, 1, 0)).cumsum(1, dtype=torch.int32).cumsum(2, dtype=torch.int32)
    for radius in RADII:
        difference = grey - surround(sums, grey, radius)
        brighter += difference.clamp(min=0).int()
        darker += (-difference).clamp(min=0).int()
    brighter, darker = stretch(brighter), stretch(darker)
    highest = torch.maximum(brighter.amax((1, 2), keepdim=True), darker.amax((1, 2), keepdim=True))
    # A pixel can be brighter than one square and darker than another, so that the sum exceeds the highest of
    # either; OpenCV's bytes then wrap around.
    return 255 * (brighter + darker) // highest.clamp(min=1) % 256


def opencv_fine_grained(images: Tensor) -> Tensor:
    """Return OpenCV's map (N, H, W) uint8, on the host, of images (N, 3, H, W) of any scale.

    The images are copied to the host, which waits for the device.

    Raises
    ------
    DmixError: this OpenCV has no saliency module.
    """
    detector = opencv().saliency.StaticSaliencyFineGrained_create()
    host = images.float().permute(0, 2, 3, 1).cpu().contiguous().numpy()
    # Threads would halve the time on two cores (OpenCV releases the GIL), but published SaliencyMix needs
    # only one map per batch.
    maps = [detector.computeSaliency(image)[1] for image in host]
    return torch.from_numpy((255 * np.stack(maps)).astype(np.uint8))


def opencv() -> ModuleType:
    """Return OpenCV with its saliency module, on one thread."""
    import cv2

    if not hasattr(cv2, "saliency"):
        raise DmixError(
            f"OpenCV {cv2.__version__} in {cv2.__file__} is a build without the saliency module",
            "uninstall every opencv-python* package, then: pip install opencv-contrib-python-headless",
        )
    cv2.setNumThreads(1)
    return cv2


def to_grey(images: Tensor) -> Tensor:
    """Return (N, H, W) int32 grey of (N, 3, H, W) uint8."""
    first, second, third = images.int().unbind(1)
    return (GREY[0] * first + GREY[1] * second + GREY[2] * third + (1 << 14)) >> 15


def blur(grey: Tensor) -> Tensor:
    """Return (N, H, W) int32 smoothed by 1-2-1 in both directions, rounded half up; borders reflect."""
    for dim in (1, 2):
        side = grey.shape[dim]
        pixel = torch.arange(side, device=grey.device)
        before = (pixel - 1).abs().clamp(max=side - 1)
        after = (side - 1 - (side - 2 - pixel).abs()).clamp(min=0)
        grey = grey.index_select(dim, before) + 2 * grey + grey.index_select(dim, after)
    return (grey + 8) >> 4


def surround(sums: Tensor, grey: Tensor, radius: int) -> Tensor:
    """Return the mean (N, H, W) float32 of a square, 2 * radius pixels a side, without the pixel itself.

    Parameters
    ----------
    sums: (N, H + 1, W + 1) int32, sums of `grey` over all pixels above and to the left.
    """
    height, width = grey.shape[1:]
    row = torch.arange(height, device=grey.device)
    column = torch.arange(width, device=grey.device)
    top, bottom = (row - radius + 1).clamp(min=0), (row + radius + 1).clamp(max=height)
    left, right = (column - radius + 1).clamp(min=0), (column + radius + 1).clamp(max=width)
    bands = sums[:, bottom] - sums[:, top]
    total = bands[:, :, right] - bands[:, :, left]
    others = (bottom - top).view(-1, 1) * (right - left) - 1
    return (total - grey) / others.clamp(min=1)


def stretch(scores: Tensor) -> Tensor:
    """Return (N, H, W) int32 scores scaled so that each image's highest is 255, rounded down; 0 stays 0."""
    return 255 * scores // scores.amax((1, 2), keepdim=True).clamp(min=1)
