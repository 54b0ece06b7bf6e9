"""The product of `dmix evaluate --confidence`: how sure a finished run is of its images, and how often right.

Imports no torch, so that tables, claims and the workflow can read it.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from dmix.evaluation_record import EvaluationRecord
from dmix.sealed import Frozen


class Group(Frozen):
    """Some images: how many, for how many of them the most probable class is right, and the confidence."""

    images: int = Field(ge=0)
    right: int = Field(ge=0)
    confidence: float = Field(ge=0, description="sum of the largest probabilities, 0 to `images`")

    @model_validator(mode="after")
    def _ordered(self) -> Group:
        if self.right > self.images:
            raise ValueError("right <= images does not hold")
        return self

    @property
    def accuracy(self) -> float | None:
        """Percent of the images whose most probable class is right; None without an image."""
        return 100 * self.right / self.images if self.images else None


class Confidence(Frozen):
    """Accuracy by confidence on one set of images.

    Attributes
    ----------
    bins: equal intervals of the confidence from 0 to 1; one on a border counts to the lower interval.
    most_confident: the most confident tenth of the images, the two most confident tenths, ... all of them.
    threshold, confident: that of the method, and the images that reach it; None without one.
    """

    bins: tuple[Group, ...] = Field(min_length=1)
    most_confident: tuple[Group, ...] = Field(min_length=10, max_length=10)
    threshold: float | None = None
    confident: Group | None = None

    @property
    def images(self) -> int:
        """Number of images."""
        return self.most_confident[-1].images

    @property
    def accuracy(self) -> float:
        """Percent of all images whose most probable class is right."""
        return 100 * self.most_confident[-1].right / self.images

    @property
    def calibration_error(self) -> float:
        """Expected calibration error in percent (Guo et al., 2017), over the bins.

        It is sum over bins of |right - confidence| / images: 0 if in every bin the share of right images is
        the mean confidence.
        """
        return 100 * sum(abs(group.right - group.confidence) for group in self.bins) / self.images

    @property
    def confident_percent(self) -> float | None:
        """Percent of the images that reach the method's threshold; None without one."""
        return None if self.confident is None else 100 * self.confident.images / self.images


class RunConfidence(EvaluationRecord):
    """Confidence of one finished run."""

    KIND: ClassVar[str] = "confidence"

    schema_version: Literal[1] = 1
    test: Confidence = Field(description="on the test images")
    unlabelled: Confidence | None = Field(
        description="on the training images without label, of semi-supervised runs: their pseudo-labels"
    )
