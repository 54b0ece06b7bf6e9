"""Rows of two batches, mixed."""

from __future__ import annotations

from torch import Tensor


def mix_rows(labelled: Tensor, unlabelled: Tensor, lam: Tensor) -> Tensor:
    """Return lam * labelled + (1 - lam) * unlabelled, row i with row i, as many rows as the shorter batch.

    Parameters
    ----------
    labelled, unlabelled: (N, ...) and (M, ...) floating. lam: at least min(N, M) values in [0, 1].
    """
    n = min(len(labelled), len(unlabelled))
    share = lam[:n].to(labelled.dtype).view(-1, *[1] * (labelled.ndim - 1))
    return share * labelled[:n] + (1 - share) * unlabelled[:n]
