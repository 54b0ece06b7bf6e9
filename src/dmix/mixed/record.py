"""The product of `dmix evaluate --mixed`: how many mixed test images a finished run classifies right.

Imports no torch, so that figures and the workflow can read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from dmix.evaluation_record import EvaluationRecord
from dmix.sealed import Frozen

OWN = "own"
SHARES: tuple[float, ...] = tuple(step / 20 for step in range(11))
"""Centres of the bins of the minor class's weight, 0 to 0.5."""


class Counts(Frozen):
    """Mixed images that were classified, and how many of them right; pairs of one class are not counted."""

    pairs: int = Field(ge=1, description="mixed images of two different classes")
    top1: int = Field(ge=0, description="of these, with one of their classes ranked first")
    top2: int = Field(ge=0, description="of these, with their two classes ranked first and second")
    lam: float = Field(ge=0, le=1, description="mean weight of the own class in the label")
    share: float | None = Field(
        ge=0, le=1, description="mean weight of the own pixels; none: hidden states are mixed, not images"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Counts:
        if not self.top2 <= self.top1 <= self.pairs:
            raise ValueError("top2 <= top1 <= pairs does not hold")
        return self

    @property
    def top1_percent(self) -> float:
        """Top-1(mixed) in percent of the counted pairs."""
        return 100 * self.top1 / self.pairs

    @property
    def top2_percent(self) -> float:
        """Top-2(mixed) in percent of the counted pairs."""
        return 100 * self.top2 / self.pairs


class AtLam(Counts):
    """The counts at one lam of the sweep."""

    nominal: float = Field(ge=0, le=1, description="lam that the policy was given; it may correct it")


class AtShare(Frozen):
    """Means over the mixed images of the whole sweep whose minor class has about one weight.

    The minor class is the one with the smaller weight in the label; p are the softmax probabilities of the
    logits z. Pairs of one class are not counted.
    """

    share: float = Field(
        ge=0, le=0.5, description="centre of the bin, 0.05 wide, of the minor class's weight"
    )
    pairs: int = Field(ge=1, description="mixed images of two different classes in the bin")
    top2: int = Field(ge=0, description="of these, with their two classes ranked first and second")
    weight: float = Field(ge=0, le=0.5, description="mean weight of the minor class in the label")
    mass: float = Field(ge=0, le=1, description="mean of p_major + p_minor")
    margin: float | None = Field(
        description="mean of z_minor - log sum exp z of all classes outside of the pair; none: there are none"
    )
    share_error: float = Field(ge=0, le=1, description="mean of |p_own / (p_own + p_partner) - lam|")

    @model_validator(mode="after")
    def _counted(self) -> AtShare:
        if self.top2 > self.pairs:
            raise ValueError("top2 <= pairs does not hold")
        return self

    @property
    def top2_percent(self) -> float:
        """Top-2(mixed) in percent of the counted pairs."""
        return 100 * self.top2 / self.pairs


class Mixing(Frozen):
    """The accuracies on images that one policy mixed."""

    policy: str = Field(description="module of the policy")
    training: Counts | None = Field(
        description="lam ~ Beta(alpha, alpha) of the run's training; none: it mixes nothing in training"
    )
    sweep: tuple[AtLam, ...] = Field(
        min_length=1, description="lam from 0 to 1 by 0.05, without values that the policy cannot take"
    )
    minor: tuple[AtShare, ...] = Field(
        min_length=1, description="the sweep's images by the minor class's weight, without empty bins"
    )

    def at_share(self, share: float) -> AtShare | None:
        """Return the measures at a weight of the minor class, one of `SHARES`; None if no image has it."""
        return next((found for found in self.minor if found.share == share), None)


class MixedAccuracy(EvaluationRecord):
    """Accuracies of one finished run on its mixed test images."""

    KIND: ClassVar[str] = "mixed"

    schema_version: Literal[2] = 2
    images: int = Field(ge=2, description="of the test split; each is once the own image, once the partner")
    mixings: Mapping[str, Mixing] = Field(
        description=f"by {OWN}, the run's own policy (none in a run without mixing), and common policies"
    )
