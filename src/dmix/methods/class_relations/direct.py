"""The direct estimator of Co-Tuning (You et al., 2020): mean source probabilities of each target class."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt

from dmix.engine.evidence import Evidence, Learned
from dmix.errors import DmixError
from dmix.methods.transfer import class_relation
from dmix.part import part


@part
def direct(evidence: Evidence, *, source_scale: Annotated[float, Gt(0)]) -> Learned:
    """Return the mean source probabilities of each class's labelled images.

    Parameters
    ----------
    source_scale: calibration factor of the pre-trained classifier's logits (`source_probabilities`).

    Raises
    ------
    DmixError: a class has no labelled image.
    """
    probabilities = class_relation.source_probabilities(evidence.logits, source_scale)
    try:
        matrix = class_relation.direct(probabilities, evidence.labels, evidence.classes)
    except ValueError as error:
        raise DmixError(
            f"the class relation of {evidence.dataset.name} cannot be learned: {error}",
            "label at least one image of every class",
        ) from error
    return Learned(matrix, "direct")
