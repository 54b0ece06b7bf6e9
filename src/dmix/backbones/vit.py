"""Vision transformer (Dosovitskiy et al., 2021) in the form of DeiT (Touvron et al., 2021), from timm.

A plain transformer has no stages; its blocks are grouped into stages for the policies that need them. With
`layers` 3, 3, 6, ManifoldMix's layers 0, 1 and 2 of DeiT-S are the input, a quarter and a half of its twelve
blocks, as with the four stages of a ResNet. AutoMix reads the features of the last but one stage, which ends
with block 6, as in OpenMixup's configuration for DeiT-S.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Len, Lt
from torch import Tensor, nn

from dmix import vision
from dmix.backbones.backbone import Backbone
from dmix.backbones.transformer import check_heads, patches_per_side
from dmix.part import part


class Embedding(nn.Module):
    """(N, 3, S, S) images to (N, 1 + L, d) tokens, class token first, with position embedding."""

    def __init__(self, vit: Any) -> None:
        super().__init__()
        self.cls_token, self.pos_embed, self.patch_embed = vit.cls_token, vit.pos_embed, vit.patch_embed

    def forward(self, images: Tensor) -> Tensor:
        """Return the tokens; the patches are in row order."""
        patches = self.patch_embed(images)
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        out: Tensor = tokens + self.pos_embed
        return out


class ClassToken(nn.Module):
    """(N, 1 + L, d) tokens to the class token, (N, d)."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the class token."""
        return tokens[:, 0]


@part
class ViT(Backbone):
    """A pre-norm transformer over square patches; every stage returns tokens (N, 1 + L, embed_dim).

    The final LayerNorm belongs to the last stage, so the head is only pooling and classifier. Hidden mixing
    mixes all tokens, the class token too.

    Settings: `image_size` and `patch_size` in pixels; `embed_dim`, width of a token; `layers`, blocks of each
    stage; `heads`, attention heads of every block; `drop_path`, rate of stochastic depth in the last block,
    rising linearly from 0.

    Raises
    ------
    DmixError: patches do not tile the image, or `heads` does not divide `embed_dim`.
    """

    def __init__(
        self,
        classes: int,
        *,
        image_size: Annotated[int, Gt(0)],
        patch_size: Annotated[int, Gt(0)],
        embed_dim: Annotated[int, Gt(0)],
        layers: Annotated[tuple[int, ...], Len(1)],
        heads: Annotated[int, Gt(0)],
        drop_path: Annotated[float, Ge(0), Lt(1)] = 0.0,
    ) -> None:
        super().__init__()
        self.side = patches_per_side(image_size, patch_size)
        check_heads(embed_dim, heads)
        vit = vision.timm().models.VisionTransformer(
            img_size=image_size,
            patch_size=patch_size,
            num_classes=classes,
            embed_dim=embed_dim,
            depth=sum(layers),
            num_heads=heads,
            drop_path_rate=drop_path,
        )
        self.channels = (embed_dim,) * len(layers)
        self.stem = Embedding(vit)
        blocks = iter(vit.blocks)
        stages = [nn.Sequential(*(next(blocks) for _ in range(depth))) for depth in layers]
        stages[-1].append(vit.norm)
        self.stages = nn.ModuleList(stages)
        self.head = nn.Sequential(ClassToken(), vit.head)

    def as_map(self, feature: Tensor) -> Tensor:
        """Return the patches' tokens as (N, embed_dim, h, w), without the class token."""
        rows = feature[:, 1:].transpose(1, 2)
        return rows.reshape(*rows.shape[:2], self.side, self.side)
