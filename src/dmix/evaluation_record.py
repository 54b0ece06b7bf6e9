"""The record of an evaluation: what one finished run's weights do, beside the facts that all kinds share.

Imports no torch, so that tables, figures, claims and the workflow can read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, ValidationError

from dmix.errors import DmixError
from dmix.reading import SEAL, as_model, first_problem, read_json, seal
from dmix.record import Hardware, read_record
from dmix.sealed import Frozen, write_sealed


class EvaluationRecord(Frozen):
    """What every evaluation states; each kind adds its numbers. Written once, never edited.

    Attributes
    ----------
    KIND: module in src/dmix/evaluations that makes it.
    """

    KIND: ClassVar[str]

    schema_version: int
    name: str
    folder: str = Field(description="of the run below results/<tier>/records")
    evaluation: str = Field(description="digest of the code of this evaluation")
    weights_sha256: str
    data_edition: Literal["real", "embedded"]
    data_fingerprint: str
    seconds: float = Field(ge=0)
    versions: Mapping[str, str]
    hardware: Hardware
    record_sha256: str = ""  # of all other fields, as JSON with sorted keys; `write` fills it in

    def write(self, path: Path) -> None:
        """Write it as JSON to `path`, with its own SHA-256, whole or not at all."""
        write_sealed(self, path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check the evaluation at `path`.

        Raises
        ------
        DmixError: the file is missing, no JSON, edited since it was written, or does not follow the schema.
        """
        try:
            values = read_json(path)
            found = as_model(cls, values)
        except DmixError as error:
            raise cls._refusal(f"{path} is damaged: {error.message}") from error
        except ValidationError as error:
            raise cls._refusal(f"{path} is damaged: {first_problem(error)}") from error
        if found.record_sha256 != seal(values):
            raise cls._refusal(f"{path} is damaged: it was edited after it was written")
        return found

    @classmethod
    def find(cls, path: Path, weights_sha256: str) -> Self | None:
        """Return the evaluation at `path`; None without one, or with one damaged or of other weights.

        For readers that go on without it: whoever evaluates the run says what is wrong with the file.
        """
        try:
            found = cls.read(path) if path.exists() else None
        except DmixError:
            return None
        return found if found and found.weights_sha256 == weights_sha256 else None

    def check_weights(self, path: Path, weights_sha256: str) -> None:
        """Refuse an evaluation of other weights than those of the run's record, as of an earlier training.

        Raises
        ------
        DmixError: it is one; the message names `path`, from which it was read.
        """
        if self.weights_sha256 != weights_sha256:
            raise self._refusal(f"{path} is of other weights than those in the run's record")

    @classmethod
    def _refusal(cls, problem: str) -> DmixError:
        return DmixError(problem, f"delete it; dmix evaluate NAME --{cls.KIND} makes it again", exit_code=1)


def is_of_record(product: Path, record: Path) -> bool:
    """Return whether the evaluation at `product`, of any kind, is of the weights that `record` names."""
    if not product.exists():
        return False
    try:
        values = read_json(product)
        unedited = values.get(SEAL) == seal(values)
        return unedited and values.get("weights_sha256") == read_record(record).weights_sha256
    except DmixError:
        return False  # the job, or whoever reads it, says what is wrong
