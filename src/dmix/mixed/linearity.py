"""How far a network's answer to a mixed image is from linear in lam. Imports no torch."""

from __future__ import annotations

from dmix.mixed.record import Mixing


def share_error(mixing: Mixing) -> float | None:
    """Return the mean of |p_own / (p_own + p_partner) - lam| over the images of two classes of a sweep.

    Those whose minor class has a weight below 0.025 are all but unmixed and left out; None if no others are.
    """
    mixed = [at for at in mixing.minor if at.share > 0]
    pairs = sum(at.pairs for at in mixed)
    return sum(at.pairs * at.share_error for at in mixed) / pairs if pairs else None
