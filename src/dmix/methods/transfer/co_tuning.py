"""Co-Tuning (You et al., 2020): fine-tuning that also trains the pre-trained classifier."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import safetensors
import safetensors.torch
from annotated_types import Ge
from torch import Tensor

from dmix.backbones.pretrained import source_classifier
from dmix.data.loading.two_streams import TwoStreamBatch
from dmix.engine.method import Ingredients
from dmix.errors import DmixError
from dmix.methods.addons.pseudo import PseudoLabels
from dmix.methods.transfer.class_relation import relation_loss
from dmix.methods.transfer.method import TransferMethod
from dmix.part import part

MATRIX = "relationship"  # name of the matrix in its file


@part
class CoTuning(TransferMethod):
    """Add `relation_weight` times the cross-entropy of the source classifier with R[y], on clean rows.

    R, the class relation, is learned before the run (`dmix.engine.class_relation`).
    """

    relationship: Tensor  # R; its name in files of weights

    def __init__(self, ingredients: Ingredients, *, relation_weight: Annotated[float, Ge(0)]) -> None:
        super().__init__(ingredients)
        if ingredients.weights is None or ingredients.relation is None:
            raise DmixError(
                "Co-Tuning needs a pre-trained network and a class relation",
                "set recipe.init and relation.use for it in params.yaml",
            )
        self.relation_weight = relation_weight
        self.source = source_classifier(ingredients.model, ingredients.weights, from_run=ingredients.from_run)
        matrix = read_matrix(ingredients.relation)
        wanted = (self.head.out_features, self.source.out_features)
        if tuple(matrix.shape) != wanted:
            raise DmixError(
                f"the class relation {ingredients.relation} is {tuple(matrix.shape)}, not {wanted}",
                "delete its folder; the workflow learns it again",
            )
        self.register_buffer("relationship", matrix.float())

    def own_losses(
        self, features: Tensor, batch: TwoStreamBatch
    ) -> tuple[Mapping[str, Tensor], PseudoLabels | None]:
        """Return `relation`, a scalar."""
        rows = relation_loss(self.source(features), self.relationship, batch.labelled.labels)
        return {"relation": self.relation_weight * rows.mean()}, None


def read_matrix(path: Path) -> Tensor:
    """Return the class relation (C, S) in the file.

    Raises
    ------
    DmixError: the file is missing or damaged.
    """
    try:
        return safetensors.torch.load(path.read_bytes())[MATRIX]
    except (OSError, safetensors.SafetensorError, KeyError) as error:
        raise DmixError(
            f"cannot read the class relation {path}: {error}",
            "delete its folder; the workflow learns it again",
        ) from error
