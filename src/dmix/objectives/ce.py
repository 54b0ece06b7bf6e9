"""Cross-entropy on unmixed samples."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Lt
from torch import Tensor
from torch.nn import functional

from dmix.part import part

NO_CLASS_TERMS = "it has no second label"


@part
def ce(
    logits: Tensor,
    y_a: Tensor,
    y_b: Tensor,  # noqa: ARG001
    lam: Tensor,  # noqa: ARG001
    *,
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0,
) -> Tensor:
    """Return -log p_a per row, (N,) float32 or wider; y_b and lam are not used.

    Parameters
    ----------
    logits: (N, C). y_a: (N,) int64.
    label_smoothing: share of the target spread evenly over all C classes, as in `mce`.
    """
    z = logits if logits.dtype == torch.float64 else logits.float()
    return functional.cross_entropy(z, y_a, reduction="none", label_smoothing=label_smoothing)
