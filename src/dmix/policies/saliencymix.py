"""SaliencyMix (Uddin et al., 2021): CutMix with the box around the partner's most salient pixel."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from annotated_types import Gt
from torch import Tensor

from dmix.data.send import to_device
from dmix.part import part
from dmix.policies.box import box_around, cut_ratio, paste, paste_smaller
from dmix.policies.draw import Floats, draw_lam, draw_partner
from dmix.policies.policy import Blend, Context, Draws, Mixed, Policy
from dmix.policies.saliency import fine_grained, opencv, opencv_fine_grained


@part
class SaliencyMix(Policy):
    """Paste a box of area about 1 - lam around the peak of the partner's saliency; lam is then corrected.

    Settings: `alpha`, lam ~ Beta(alpha, alpha); `saliency_input`, the input of OpenCV's fine-grained
    detector: 8-bit pixels ("uint8", which it expects) or the normalised float images ("float_normalised", as
    in released code; the peak then hits a salient patch hardly more often than chance); `per_image`, whether
    each partner has its own box (SaliencyMix's paper) or the partner of the first row sets the box of all
    (released code); `derangement`, see `dmix.policies.draw`.
    """

    def __init__(
        self,
        *,
        alpha: Annotated[float, Gt(0)],
        saliency_input: Literal["float_normalised", "uint8"],
        per_image: bool,
        derangement: bool = False,
    ) -> None:
        super().__init__()
        self.alpha, self.saliency_input, self.per_image = alpha, saliency_input, per_image
        self.derangement = derangement
        if saliency_input == "float_normalised":
            opencv()  # fail now if this build of OpenCV lacks the detector, not at the first step

    def mix(self, images: Tensor, labels: Tensor, draws: Draws, context: Context) -> Mixed:
        """Paste each partner's box; lam is 1 where the box is empty."""
        n = len(labels)
        lam = self.draw_shares(n, draws)
        b = to_device(draw_partner(draws.host, n, self.derangement), images.device)
        blend = self.paste_peak(images, images[b], lam, context)
        return Mixed(blend.images, labels, labels[b], blend.lam, blend.mask)

    def draw_shares(self, n: int, draws: Draws) -> Floats:
        """Return lam of each row before its box is clipped, (n,)."""
        return draw_lam(draws.host, self.alpha, n)

    def blend(self, own: Tensor, partner: Tensor, lam: Floats, draws: Draws, context: Context) -> Blend:
        """Paste the salient box of the image of the smaller share into the other; see `paste_smaller`."""
        del draws
        return paste_smaller(
            own, partner, lam, lambda larger, smaller, share: self.paste_peak(larger, smaller, share, context)
        )

    def paste_peak(self, images: Tensor, source: Tensor, lam: Floats, context: Context) -> Blend:
        """Paste boxes of area about 1 - lam (N,) around the most salient pixels of `source` (N, 3, H, W)."""
        n, _, height, width = images.shape
        device = images.device
        peak = self.peak(source if self.per_image else source[:1], context).expand(n)
        boxes = box_around(peak % width, peak // width, to_device(cut_ratio(lam), device), height, width)
        return paste(images, source, boxes)

    def peak(self, images: Tensor, context: Context) -> Tensor:
        """Return the most salient pixel of each image, row * W + column, (N,) int64; ties go to the first."""
        if self.saliency_input == "uint8":
            pixels = (255 * context.pixels(images).float()).round().clamp(0, 255).to(torch.uint8)
            return fine_grained(pixels).flatten(1).argmax(1)
        return to_device(opencv_fine_grained(images).flatten(1).argmax(1), images.device)
