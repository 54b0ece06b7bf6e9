"""Self-Tuning (Wang et al., 2021): pseudo group contrast of labelled and pseudo-labelled rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn
from torch.nn import functional

from dmix.data.loading.two_streams import TwoStreamBatch
from dmix.engine.method import Ingredients
from dmix.methods.addons.pseudo import PseudoLabels, pseudo_labels
from dmix.methods.passes import apart
from dmix.methods.transfer.method import TransferMethod
from dmix.part import part
from dmix.policies.momentum import frozen_copy, update_average


@part
class SelfTuning(TransferMethod):
    """Add the pseudo group contrast of labelled rows, by label, and of unlabelled rows, by pseudo-class.

    The key encoder is a moving average of the trained one, without batch-norm buffers. It is updated before
    each of the two contrasts, so twice a step; the queue of the second holds the keys of the first.

    Settings: `projection`, width of queries and keys; `depth`, keys of each class in the queue; `temperature`
    of the contrast; `key_momentum`, decay of the moving average; `contrast`, weight of both losses;
    `pseudo_forward`, whether pseudo-classes are from the queries' forward pass ("reuse") or from one more
    ("repeat", as published).
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

    def own_losses(
        self, features: Tensor, batch: TwoStreamBatch
    ) -> tuple[Mapping[str, Tensor], PseudoLabels | None]:
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
        # Not an attribute, because its parameters would then be in the state dict twice.
        update_average(self.key, nn.Sequential(self.encoder, self.projector), self.key_momentum)
        queries = functional.normalize(self.projector(features).float(), dim=1)
        with torch.no_grad():
            keys = functional.normalize(self.key(images).float(), dim=1)
        rows = pseudo_group_contrast(queries, keys, classes, self.queue.slots, temperature=self.temperature)
        self.queue.push(keys, classes)
        return rows.mean()


def pseudo_group_contrast(
    queries: Tensor, keys: Tensor, classes: Tensor, slots: Tensor, *, temperature: float
) -> Tensor:
    """Return the loss per row, (B,) float32 or wider.

    Row i has 1 + D * C similarities: with its own key and with every slot of the queue. Its own key and the
    slots of its class are the D + 1 positives, over which the loss is the mean of -log softmax. Self-Tuning's
    code computes KL(uniform || softmax) instead, which is less by ln(D + 1) and has the same gradient. The
    keys of this call are not in the queue yet.

    Parameters
    ----------
    queries, keys: (B, d), rows of norm 1. Keys and slots get no gradient.
    classes: (B,) int64, labels or pseudo-classes. slots: (C, D, d), D >= 1.
    temperature: > 0, 0.07 in Self-Tuning.
    """
    n_classes, depth, width = slots.shape
    with torch.autocast(queries.device.type, enabled=False):
        q = queries if queries.dtype == torch.float64 else queries.float()
        own_key = (q * keys.detach().to(q.dtype)).sum(1, keepdim=True) / temperature
        with_slots = q @ slots.detach().to(q.dtype).view(-1, width).T / temperature
        own_slots = with_slots.view(len(q), n_classes, depth).sum(2).gather(1, classes.unsqueeze(1))
        total = torch.cat([own_key, with_slots], 1).logsumexp(1)
        return total - (own_key + own_slots).squeeze(1) / (depth + 1)


def enqueue(slots: Tensor, pointers: Tensor, keys: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the queue and its pointers after writing the keys in the order of their rows.

    A key is written at its class's pointer, which then advances by one and wraps around. New tensors are
    returned, so that a loss computed from the old ones can still be differentiated.

    Parameters
    ----------
    slots: (C, D, d). pointers: (C,) int64 in 0..D-1. keys: (B, d), detached here. classes: (B,) int64.
    """
    depth = slots.shape[1]
    before = (classes.unsqueeze(1) == classes).tril(-1).sum(1)  # rows of the same class before each row
    place = (pointers[classes] + before) % depth
    target = classes * depth + place
    # Of several rows for one slot the last counts. All of them write its key, so their order does not matter.
    rows = torch.arange(len(keys), device=keys.device)
    last = torch.where(target.unsqueeze(1) == target, rows, -1).amax(1)
    written = slots.index_put((classes, place), keys.detach().to(slots.dtype)[last])
    return written, pointers.index_add(0, classes, torch.ones_like(classes)) % depth


class ClassQueue(nn.Module):
    """The queue of keys as buffers, initialised with random unit vectors.

    Attributes
    ----------
    slots: (C, D, d) float32, rows of norm 1. pointers: (C,) int64, slot of the next key of each class.
    """

    slots: Tensor
    pointers: Tensor

    def __init__(self, classes: int, depth: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        drawn = torch.randn(classes, depth, width, generator=generator, device=generator.device)
        self.register_buffer("slots", functional.normalize(drawn, dim=2))
        self.register_buffer("pointers", torch.zeros(classes, dtype=torch.int64, device=drawn.device))

    def push(self, keys: Tensor, classes: Tensor) -> None:
        """Write keys (B, d) of classes (B,), in the order of the rows."""
        self.slots, self.pointers = enqueue(self.slots, self.pointers, keys, classes)
