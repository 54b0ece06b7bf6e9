"""The product of `dmix evaluate --mixed`: how many mixed test images a finished run classifies right.

Imports no torch, so that figures and the workflow can read it.
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

OWN = "own"
SHARES: tuple[float, ...] = tuple(step / 20 for step in range(11))
"""Centres of the bins of the minor class's weight, 0 to 0.5."""
WAY_OUT = "delete it; the workflow, or dmix evaluate NAME --mixed, makes it again"


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Counts(_Frozen):
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


class AtShare(_Frozen):
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


class Mixing(_Frozen):
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


class MixedAccuracy(_Frozen):
    """Accuracies of one finished run on its mixed test images. Written once, never edited."""

    schema_version: Literal[2] = 2
    name: str
    folder: str = Field(description="of the run below results/<tier>/runs")
    evaluation: str = Field(description="digest of the code of this evaluation")
    weights_sha256: str
    data_edition: Literal["real", "embedded"]
    data_fingerprint: str
    images: int = Field(ge=2, description="of the test split; each is once the own image, once the partner")
    mixings: Mapping[str, Mixing] = Field(
        description=f"by {OWN}, the run's own policy (none in a run without mixing), and common policies"
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


def read_mixed(path: Path) -> MixedAccuracy:
    """Read and check the mixed-sample accuracies at `path`.

    Raises
    ------
    DmixError: the file is missing, no JSON, edited since it was written, or does not follow the schema.
    """
    try:
        values = read_json(path)
        found = as_model(MixedAccuracy, values)
    except DmixError as error:
        raise DmixError(f"{path} is damaged: {error.message}", WAY_OUT, exit_code=1) from error
    except ValidationError as error:
        raise DmixError(f"{path} is damaged: {first_problem(error)}", WAY_OUT, exit_code=1) from error
    if found.record_sha256 != seal(values):
        raise DmixError(f"{path} is damaged: it was edited after it was written", WAY_OUT, exit_code=1)
    return found


def check_weights(found: MixedAccuracy, path: Path, weights_sha256: str) -> None:
    """Refuse accuracies of other weights than those of the run's record, as after it was trained again.

    Raises
    ------
    DmixError: they are; the message names `path`.
    """
    if found.weights_sha256 != weights_sha256:
        raise DmixError(f"{path} is of other weights than those in the run's record", WAY_OUT, exit_code=1)


def is_of_record(product: Path, record: Path) -> bool:
    """Return whether `product` holds accuracies of the weights that a run's `record` names."""
    try:
        return product.exists() and read_mixed(product).weights_sha256 == read_record(record).weights_sha256
    except DmixError:
        return False  # the job, or whoever reads it, says what is wrong
