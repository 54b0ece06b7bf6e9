"""The direct estimator of Co-Tuning (You et al., 2020): what the pre-trained network says of each class."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt

from dmix.engine.evidence import Evidence, Learned
from dmix.errors import DmixError
from dmix.methods.transfer import class_relation as relationship
from dmix.part import part


@part
def direct(evidence: Evidence, *, source_scale: Annotated[float, Gt(0)]) -> Learned:
    """Return the mean source probabilities of each class's labelled images.

    Parameters
    ----------
    source_scale: what calibrates the pre-trained classifier (`relationship.source_probabilities`).

    Raises
    ------
    DmixError: a class has no labelled image.
    """
    probabilities = relationship.source_probabilities(evidence.logits, source_scale)
    try:
        matrix = relationship.direct(probabilities, evidence.labels, evidence.classes)
    except ValueError as error:
        raise DmixError(
            f"the labelled images of {evidence.dataset.name} do not do: {error}",
            "label at least one image of every class",
        ) from error
    return Learned(matrix, "direct")
