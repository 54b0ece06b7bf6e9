"""The losses of mixed rows with DM(CE), as the add-on makes them of the objective's terms."""

from __future__ import annotations

from dmix.methods.addons.asymmetric import losses_of
from dmix.objectives.dm_ce import class_terms


def labelled_loss(logits, y_a, y_b, lam, *, eta, power=0.0):
    """The mean over labelled rows mixed with each other: both classes count."""
    terms = class_terms(logits, y_a, y_b, lam, eta=eta)
    return losses_of(terms, lam, sides="both", mce_sides="both", power=power).mean()


def asymmetric_loss(logits, y, pseudo, lam, *, eta, mask=None, sides="labelled", mce_sides="both", power=0.0):
    """The mean over all labelled rows mixed with pseudo-labelled ones, those without weight included."""
    terms = class_terms(logits, y, pseudo, lam, eta=eta)
    rows = losses_of(terms, lam, sides=sides, mce_sides=mce_sides, power=power)
    return (rows if mask is None else rows * mask).mean()
