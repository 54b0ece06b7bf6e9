"""Decoupled terms of MixMatch's rows, by what two kinds of rows each one is mixed of."""

from __future__ import annotations

from torch import Tensor

from dmix.objectives.decoupled import decoupled_terms


def decoupled_by_kinds(
    logits: Tensor, classes: Tensor, partner: Tensor, lam: Tensor, labelled: int
) -> tuple[Tensor, Tensor]:
    """Return the mean decoupled terms of the labelled rows and of the others, two scalars.

    A row counts if its partner is labelled: a labelled row with both terms, an unlabelled one with its
    partner's alone. As its own share is at least a half, that is the asymmetrical strategy (the paper,
    section 3.2): the labelled image is the fainter one. A labelled row with an unlabelled partner would be
    the opposite, and two unlabelled ones have no label to decouple. The means are over all rows of the kind.

    Parameters
    ----------
    logits: (N, C). classes: (N,) int64, labels of the first `labelled` rows, likeliest classes of the others.
    partner: (N,) int64. lam: (N,) in [0.5, 1], weight of the own row.
    """
    terms = decoupled_terms(logits, classes, classes[partner], lam)
    terms = terms * (partner < labelled).to(terms.dtype).unsqueeze(1)
    return terms[:labelled].sum(1).mean(), terms[labelled:, 1].mean()
