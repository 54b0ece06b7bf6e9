"""The product of `dmix evaluate --confidence`: how sure a finished run is of its images, and how often right.

Imports no torch, so that tables, claims and the workflow can read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dmix.errors import DmixError
from dmix.files import write_text
from dmix.reading import SEAL, as_model, first_problem, read_json, seal
from dmix.record import Hardware, read_record

WAY_OUT = "delete it; dmix evaluate NAME --confidence makes it again"


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Group(_Frozen):
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


class Confidence(_Frozen):
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


class RunConfidence(_Frozen):
    """Confidence of one finished run. Written once, never edited."""

    schema_version: Literal[1] = 1
    name: str
    folder: str = Field(description="of the run below results/<tier>/runs")
    evaluation: str = Field(description="digest of the code of this evaluation")
    weights_sha256: str
    data_edition: Literal["real", "embedded"]
    data_fingerprint: str
    test: Confidence = Field(description="on the test images")
    unlabelled: Confidence | None = Field(
        description="on the training images without label, of semi-supervised runs: their pseudo-labels"
    )
    seconds: float = Field(ge=0)
    versions: Mapping[str, str]
    hardware: Hardware
    record_sha256: str = ""  # of all other fields, as JSON with sorted keys; `write` fills it in

    def write(self, path: Path) -> None:
        """Write it as JSON to `path`, with its own SHA-256, whole or not at all."""
        values = self.model_dump(mode="json")
        values[SEAL] = seal(values)
        write_text(path, json.dumps(values, indent=1) + "\n")


def read_confidence(path: Path) -> RunConfidence:
    """Read and check the confidence of a run at `path`.

    Raises
    ------
    DmixError: the file is missing, no JSON, edited since it was written, or does not follow the schema.
    """
    try:
        values = read_json(path)
        found = as_model(RunConfidence, values)
    except DmixError as error:
        raise DmixError(f"{path} is damaged: {error.message}", WAY_OUT, exit_code=1) from error
    except ValidationError as error:
        raise DmixError(f"{path} is damaged: {first_problem(error)}", WAY_OUT, exit_code=1) from error
    if found.record_sha256 != seal(values):
        raise DmixError(f"{path} is damaged: it was edited after it was written", WAY_OUT, exit_code=1)
    return found


def is_of_record(product: Path, record: Path) -> bool:
    """Return whether `product` is of the weights that a run's `record` names."""
    try:
        return (
            product.exists() and read_confidence(product).weights_sha256 == read_record(record).weights_sha256
        )
    except DmixError:
        return False  # the job, or whoever reads it, says what is wrong
