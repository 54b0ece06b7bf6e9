"""Swin transformer (Liu et al., 2021), from timm."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Len, Lt
from torch import Tensor, nn

from dmix import vision
from dmix.backbones.backbone import Backbone
from dmix.backbones.transformer import check_heads, patches_per_side
from dmix.errors import DmixError
from dmix.part import part


@part
class Swin(Backbone):
    """A Swin transformer; stage k, from 0, returns (N, h, w, embed_dim * 2^k), each at half the resolution.

    Patches are merged at the beginning of a stage, so a stage's output is that of its last block. The final
    LayerNorm belongs to the last stage, so the head is only pooling and classifier.

    Settings: `image_size` and `patch_size` in pixels; `window_size` in patches; `embed_dim`, channels of the
    first stage; `layers` and `heads`, blocks and attention heads of each stage; `drop_path`, rate of
    stochastic depth in the last block, rising from 0.

    Raises
    ------
    DmixError: patches do not tile the image, or `heads` does not fit the stages or their channels.
    """

    def __init__(
        self,
        classes: int,
        *,
        image_size: Annotated[int, Gt(0)],
        patch_size: Annotated[int, Gt(0)],
        window_size: Annotated[int, Gt(0)],
        embed_dim: Annotated[int, Gt(0)],
        layers: Annotated[tuple[int, ...], Len(1)],
        heads: Annotated[tuple[int, ...], Len(1)],
        drop_path: Annotated[float, Ge(0), Lt(1)] = 0.0,
    ) -> None:
        super().__init__()
        patches_per_side(image_size, patch_size)
        self.channels = tuple(embed_dim * 2**stage for stage in range(len(layers)))
        if len(heads) != len(layers):
            raise DmixError(
                f"backbone.heads: {len(heads)} numbers of heads for {len(layers)} stages",
                "give it as many entries as backbone.layers",
            )
        for channels, count in zip(self.channels, heads, strict=True):
            check_heads(channels, count)
        swin = vision.timm().models.SwinTransformer(
            img_size=image_size,
            patch_size=patch_size,
            num_classes=classes,
            window_size=window_size,
            embed_dim=embed_dim,
            depths=tuple(layers),
            num_heads=tuple(heads),
            drop_path_rate=drop_path,
        )
        *body, last = swin.layers
        self.stem = swin.patch_embed
        self.stages = nn.ModuleList([*body, nn.Sequential(last, swin.norm)])
        self.head = swin.head

    def as_map(self, feature: Tensor) -> Tensor:
        """Return the feature (N, h, w, c) as (N, c, h, w)."""
        return feature.permute(0, 3, 1, 2)
