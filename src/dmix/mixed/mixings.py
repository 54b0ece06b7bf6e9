"""The policies that mix the test images of a run, and the values of lam they are given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dmix.grid.spec import RunSpec
from dmix.mixed.draws import Beta, at_quantile, exactly
from dmix.mixed.record import OWN
from dmix.policies.cutmix import CutMix
from dmix.policies.mixup import Mixup
from dmix.policies.policy import Policy
from dmix.policies.resizemix import TAU_MAX, TAU_MIN, ResizeMix
from dmix.policies.vanilla import Vanilla

LAMS: tuple[float, ...] = tuple(step / 20 for step in range(21))
# By these all runs can be compared, also those without mixing.
COMMON: Mapping[str, type[Mixup | CutMix]] = {"mixup": Mixup, "cutmix": CutMix}
ALPHA_OF_NONE = 1.0  # of a sweep, whose lam is not drawn


@dataclass(frozen=True)
class Series:
    """One policy and the draws of lam with which it mixes.

    Attributes
    ----------
    use: module of the policy. trained: whether lam is also drawn as in the run's training.
    """

    use: str
    policy: Policy
    trained: bool

    @property
    def sweep(self) -> Sequence[tuple[float, Beta]]:
        """The values of lam that the policy can be given, each with the Beta draw that gives it."""
        draws = ((lam, beta_draw(self.policy, lam)) for lam in LAMS)
        return [(lam, exactly(value)) for lam, value in draws if value is not None]

    def plans(self, probability: float) -> list[Beta]:
        """Return the Beta draws of a block: that of the training, if any, then those of the sweep.

        Parameters
        ----------
        probability: in [0, 1], of a smaller lam in training.
        """
        training = [at_quantile(probability)] if self.trained else []
        return [*training, *(beta for _, beta in self.sweep)]


def series_of(spec: RunSpec, own: Policy) -> Mapping[str, Series]:
    """Return the policies that mix the images of a run, by name: its own, if it mixes, and the common ones.

    A common policy draws lam as in the training of the run, where it draws it from a Beta distribution.
    """
    settings = spec.settings["policy"]
    found = {} if isinstance(own, Vanilla) else {OWN: Series(settings["use"], own, trained=True)}
    for use, policy in COMMON.items():
        if settings["use"] == use:
            found[use] = found[OWN]
            continue
        alpha = alpha_of(settings, use)
        found[use] = Series(use, policy(alpha=alpha or ALPHA_OF_NONE), trained=alpha is not None)
    return found


def alpha_of(settings: Mapping[str, Any], common: str) -> float | None:
    """Return the parameter of the training's Beta distribution, or None; `settings` are the policy's.

    Of Mixup+CutMix, which draws one of the two for each batch, it is that of the `common` policy.
    """
    alpha = settings.get(f"{common}_alpha", settings.get("alpha"))
    return None if alpha is None else float(alpha)


def beta_draw(policy: Policy, lam: float) -> float | None:
    """Return the value of the policy's Beta draw by which it mixes with weight `lam`, or None.

    ResizeMix draws the side tau of the partner, lam = 1 - tau^2, and no tau outside of [0.1, 0.8].
    """
    if not isinstance(policy, ResizeMix):
        return lam
    tau = math.sqrt(1 - lam)
    return tau if TAU_MIN <= tau <= TAU_MAX else None
