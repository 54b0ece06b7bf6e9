"""How sure a network is of its classes, and how often it is right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from dmix.confidence.record import Confidence, Group
from dmix.engine.evaluate import Batches
from dmix.engine.method import Method

BINS = 15
TENTHS = 10

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Classified(NamedTuple):
    """Of N images, the largest probability, float64 (N,), and whether its class is right, bool (N,)."""

    confidence: Floats
    right: Bools


@torch.no_grad()
def classify(method: Method, batches: Batches, *, binary: bool) -> Classified:
    """Return the confidence of the most probable class of every image, by the prediction that tables report.

    The method is left in evaluation mode. Of a view with several crops, the probabilities are those of the
    mean logits.

    Parameters
    ----------
    binary: whether the objective has one binary task per class: the probability is then the sigmoid of the
        logit, else the softmax.
    """
    method.eval()
    confidence, right = [], []
    for images, labels in batches:
        crops = [next(iter(method.predict(crop).values())) for crop in batches.view.crops(images)]
        logits = torch.stack(crops).mean(0).double()
        probabilities = logits.sigmoid() if binary else logits.softmax(1)
        largest, classes = probabilities.max(1)
        confidence.append(largest.cpu())
        right.append((classes == labels).cpu())
    return Classified(torch.cat(confidence).numpy(), torch.cat(right).numpy())


def summarise(found: Classified, threshold: float | None = None) -> Confidence:
    """Return accuracy by confidence, in equal intervals of it and for the most confident images.

    Of equally confident images, those that come first in the split count as the more confident.

    Parameters
    ----------
    found: of at least one image. threshold: least confidence of a pseudo-label that its method trusts.
    """
    confidence = np.minimum(found.confidence, 1.0)  # a sum of rounded exponentials may exceed 1
    place = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    order = np.argsort(-confidence, kind="stable")
    n = len(order)
    return Confidence(
        bins=tuple(_group(found, np.flatnonzero(place == index)) for index in range(BINS)),
        most_confident=tuple(
            _group(found, order[: -(-n * tenths // TENTHS)]) for tenths in range(1, TENTHS + 1)
        ),
        threshold=threshold,
        confident=None if threshold is None else _group(found, np.flatnonzero(confidence >= threshold)),
    )


def _group(found: Classified, rows: npt.NDArray[np.int64]) -> Group:
    total = float(np.minimum(found.confidence[rows], 1.0).sum())
    return Group(images=len(rows), right=int(found.right[rows].sum()), confidence=total)
