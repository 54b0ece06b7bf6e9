"""Self-Tuning (Wang et al., 2021): labels and pseudo-labels in one contrast of groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn
from torch.nn import functional

from dmix.data.loading.two_streams import Pair
from dmix.engine.method import Ingredients
from dmix.methods.addons.pseudo import PseudoLabels, pseudo_labels
from dmix.methods.passes import apart
from dmix.methods.transfer.class_queue import ClassQueue
from dmix.methods.transfer.host import Host
from dmix.methods.transfer.pgc import pseudo_group_contrast
from dmix.part import part
from dmix.policies.momentum import frozen_copy, update_average


@part
class SelfTuning(Host):
    """Add the group contrast of labelled rows with their labels and of unlabelled ones with pseudo-classes.

    The key encoder follows the trained one, batch-norm buffers excepted, and is updated in each of the two
    contrasts, so twice a step; the second sees the keys of the first.

    Settings: `projection` the width of queries and keys; `depth` keys of each class in the queue;
    `temperature`; `key_momentum`; `contrast` the weight of both contrasts; `pseudo_forward` whether
    pseudo-classes come from the forward pass that makes the queries ("reuse"), or from one more ("repeat", as
    published).
    """

    labelled = ("augment", "augment")
    unlabelled = ("augment", "augment")

    def __init__(
        self,
        ingredients: Ingredients,
        *,
        projection: Annotated[int, Gt(0)],
        depth: Annotated[int, Gt(0)],
        temperature: Annotated[float, Gt(0)],
        key_momentum: Annotated[float, Ge(0), Lt(1)],
        contrast: Annotated[float, Ge(0)],
        pseudo_forward: Literal["reuse", "repeat"],
    ) -> None:
        super().__init__(ingredients)
        self.temperature, self.key_momentum = temperature, key_momentum
        self.contrast, self.pseudo_forward = contrast, pseudo_forward
        self.projector = nn.Linear(self.head.in_features, projection)
        self.key = frozen_copy(nn.Sequential(self.encoder, self.projector))
        self.queue = ClassQueue(self.head.out_features, depth, projection, torch.default_generator)

    def own_losses(self, features: Tensor, batch: Pair) -> tuple[Mapping[str, Tensor], PseudoLabels | None]:
        """Return `contrast_l` and `contrast_u`, scalars, and the pseudo-classes of the unlabelled rows."""
        assert batch.unlabelled is not None
        labelled = self._contrast(features, batch.labelled.images[1], batch.labelled.labels)
        query, key = batch.unlabelled.images
        again = self.pseudo(query) if self.pseudo_forward == "repeat" else None
        unlabelled = apart(self.encoder, query, freeze=False)
        pseudo = again or pseudo_labels(self.head(unlabelled))
        return {
            "contrast_l": self.contrast * labelled,
            "contrast_u": self.contrast * self._contrast(unlabelled, key, pseudo.classes),
        }, pseudo

    def _contrast(self, features: Tensor, images: Tensor, classes: Tensor) -> Tensor:
        """Return the contrast of query features (B, d) with the keys of another view of the same images."""
        # Put together for the update alone: as a module of its own it would be in the state twice.
        update_average(self.key, nn.Sequential(self.encoder, self.projector), self.key_momentum)
        queries = functional.normalize(self.projector(features).float(), dim=1)
        with torch.no_grad():
            keys = functional.normalize(self.key(images).float(), dim=1)
        rows = pseudo_group_contrast(queries, keys, classes, self.queue.slots, temperature=self.temperature)
        self.queue.push(keys, classes)
        return rows.mean()
