"""The share of the own object among the objects visible in a mixed picture, which lam approximates.

Label mismatch (the paper, section 1 and Figure 1) is the difference between lam, the weight of the own
class in the mixed label, and what the mixed picture shows. Where data come with object masks it is a
number, and where they come with bounding boxes one, too. A pixel p of an image x enters the mixed picture
with a weight w_x(p), summed over all places at which it is seen: lam for Mixup, 0 or 1 for CutMix, less than
1 on average where an image is shrunk. With F_x(p) in [0, 1], the share of the pixel that x's object covers,

    visible(x) = sum over p of w_x(p) F_x(p)        share of a = visible(a) / sum over all x of visible(x)

so 1 means that only the own object can be seen. The weights are derivatives: w_x(p) = d mixed / d x(p),
with the policy's decisions (boxes, masks, transport plans) held, as they are when they are constants of
the autograd graph. That finds pixels wherever a policy moves them, and needs no word from the policy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dmix.data.embedded import masks
from dmix.data.embedded.editions import EDITIONS
from dmix.data.sets import marker
from dmix.data.sets.dataset import Dataset

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
EVERY = slice(None)
INEXACT = 1e-3  # of the sum of the weighted pixels' magnitudes, by which a linear picture may seem to be off


def object_cover(
    dataset: Dataset, split: str, size: int, data_root: Path, index: Indices | slice = EVERY
) -> Floats | None:
    """Return the share of every pixel that the object covers, (N, size, size); None where it is not known.

    It is that of the images `index`, by default of all.

    Masks lie beside the images at the images' own size, and are reduced by block means like them.

    Raises
    ------
    DmixError: the masks are missing or damaged.
    """
    if dataset.edition != "embedded":
        return None
    folder = data_root / "embedded" / EDITIONS[dataset.name].folder
    if f"masks_{split}.npy" not in marker.read(folder).files:
        return None
    found = masks.read(folder, split)[index]
    block = found.shape[-1] // size
    blocks = found.reshape(len(found), size, block, size, block)
    cover: Floats = blocks.mean(axis=(2, 4), dtype=np.float32)
    return cover


class NumpySeesConstants(TorchFunctionMode):
    """Detaches tensors on their way to numpy: here images need gradients, in training they do not."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Detach the tensor of a call that converts it to numpy."""
        if func in (Tensor.numpy, Tensor.__array__):
            args = (args[0].detach(), *args[1:])
        return func(*args, **(kwargs or {}))


def own_share(mixed: Tensor, images: Tensor, cover: Tensor, row: int) -> float:
    """Return the share of the own object among the objects visible in `mixed[row]`, as defined above.

    NaN where no object is visible, and where the derivatives are not the weights: the mixed picture is
    then no linear function of the images (it does not have the value that its weights give), or it is
    outside the autograd graph.

    Parameters
    ----------
    mixed: (N, 3, H, W), made from `images` with gradients on.
    images: (N, 3, H, W), a leaf that requires a gradient. cover: (N, H, W) in [0, 1].
    """
    if not mixed.requires_grad:
        return float("nan")
    picture = mixed[row]
    (gradient,) = torch.autograd.grad(picture.sum(), images, retain_graph=True)
    explained = (gradient * images).detach().abs().sum()
    if (picture.sum() - (gradient * images).sum()).abs() > INEXACT * explained:
        return float("nan")
    visible = (gradient.mean(1) * cover).sum((1, 2))
    return float(visible[row] / visible.sum())


def own_shares_of_pairs(mixed: Tensor, images: Tensor, cover: Tensor) -> Tensor:
    """Return `own_share` of rows 0, 2, 4, ..., (N / 2,), in one backward pass; no graph is left.

    The rows are pairs: the picture of row 2k is made of the images 2k and 2k + 1 alone, and theirs are the
    only gradients of it. So the gradient of the sum of all these pictures holds the weights of each.

    Parameters
    ----------
    As of `own_share`, N even.
    """
    if not mixed.requires_grad:
        return torch.full((len(images) // 2,), torch.nan)
    pictures = mixed[::2]
    (gradient,) = torch.autograd.grad(pictures.sum(), images)
    with torch.no_grad():
        entered = (gradient * images).flatten(1)
        of_pair = entered.view(len(pictures), -1)
        off = (pictures.flatten(1).sum(1) - of_pair.sum(1)).abs()
        visible = (gradient.mean(1) * cover).sum((1, 2)).view(-1, 2)
        share = visible[:, 0] / visible.sum(1)
        return torch.where(off > INEXACT * of_pair.abs().sum(1), torch.nan, share)
