"""Self-Tuning (Wang et al., 2021): labels and pseudo-labels in one contrast of groups."""

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
        # Put together for the update alone: as a module of its own it would be in the state twice.
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

    Row i has 1 + D * C similarities: with its own key and with every slot of the queue. The D + 1 positives
    are its own key and the slots of its class, and the loss is the mean of -log softmax over them. This is
    the cross-entropy form; Self-Tuning's code prints KL(uniform || softmax), which is less by ln(D + 1) and
    has the same gradient. The queue is read as it is: keys of the same call are pushed afterwards.

    Parameters
    ----------
    queries, keys: (B, d), rows of length 1. Keys and slots get no gradient.
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
    """Return the queue and its pointers after writing key after key, in the order of the rows.

    A key goes to its class's pointer, which moves on by one and wraps. New tensors are returned: a loss
    that has read the old ones can still be differentiated.

    Parameters
    ----------
    slots: (C, D, d). pointers: (C,) int64 in 0..D-1. keys: (B, d), detached here. classes: (B,) int64.
    """
    depth = slots.shape[1]
    before = (classes.unsqueeze(1) == classes).tril(-1).sum(1)  # rows of the same class before each row
    place = (pointers[classes] + before) % depth
    target = classes * depth + place
    # Of several rows for one slot the last one stays. All of them write it, so that their order is no matter.
    rows = torch.arange(len(keys), device=keys.device)
    last = torch.where(target.unsqueeze(1) == target, rows, -1).amax(1)
    written = slots.index_put((classes, place), keys.detach().to(slots.dtype)[last])
    return written, pointers.index_add(0, classes, torch.ones_like(classes)) % depth


class ClassQueue(nn.Module):
    """The queue as buffers, which are in checkpoints: random unit vectors at the start.

    Attributes
    ----------
    slots: (C, D, d) float32, rows of length 1. pointers: (C,) int64, where the next key of a class goes.
    """

    slots: Tensor
    pointers: Tensor

    def __init__(self, classes: int, depth: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        drawn = torch.randn(classes, depth, width, generator=generator, device=generator.device)
        self.register_buffer("slots", functional.normalize(drawn, dim=2))
        self.register_buffer("pointers", torch.zeros(classes, dtype=torch.int64, device=drawn.device))

    def push(self, keys: Tensor, classes: Tensor) -> None:
        """Write keys (B, d) of the classes (B,), in the order of the rows."""
        self.slots, self.pointers = enqueue(self.slots, self.pointers, keys, classes)
