"""FixMatch's strong view (Sohn et al., 2020) as TorchSSL makes it: RandAugment, Cutout, crop and flip."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
from annotated_types import Ge, Gt, Interval

from dmix.data.augment.crop_flip import CropFlip
from dmix.data.augment.cutout import cut_out, draw_cutouts
from dmix.data.augment.strong_ops import draw_operations, rand_augment
from dmix.part import part


@part
class StrongCrop:
    """Apply `operations` of RandAugment's fourteen and a Cutout, then the weak view's shift and flip.

    Operations are drawn with replacement and always applied, with values uniform within their ranges. The
    order is TorchSSL's; FixMatch itself shifts and flips first.

    Settings: `cutout` the largest side of the box as a share of the width, 0 for none; `padding` and `flip`
    as in `crop_flip`.
    """

    def __init__(
        self,
        *,
        operations: Annotated[int, Gt(0)],
        cutout: Annotated[float, Interval(ge=0, le=1)],
        padding: Annotated[int, Ge(0)],
        flip: Annotated[float, Interval(ge=0, le=1)],
    ) -> None:
        self.operations = operations
        self.cutout = cutout
        self._weak = CropFlip(padding=padding, flip=flip)

    def draw(self, n: int, shape: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Return float64 (n, 2 * operations + 6).

        Columns: numbers of the operations, their values, side and centre (x, y) of the box, draws of
        `crop_flip`.

        Raises
        ------
        DmixError: `padding` is not less than the images' shorter side, so there are too few pixels to
        reflect.
        """
        numbers, values = draw_operations(n, self.operations, rng)
        boxes = draw_cutouts(n, shape, self.cutout, rng)
        return np.concatenate((numbers, values, boxes, self._weak.draw(n, shape, rng)), axis=1)

    def apply(self, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Augment uint8 (N, 3, H, W) by draws on the same device, into uint8 (N, 3, H, W)."""
        k = self.operations
        images = rand_augment(images, draws[:, :k], draws[:, k : 2 * k])
        return self._weak.apply(cut_out(images, draws[:, 2 * k : -3]), draws[:, -3:])
