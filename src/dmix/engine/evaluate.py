"""Top-1 accuracy on a whole split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor

from dmix.data.views.contract import View
from dmix.engine.distributed import World
from dmix.engine.method import Method


class Batches(Protocol):
    """Batches of (images, labels), and the view in which their images are evaluated."""

    @property
    def view(self) -> View:
        """Says which crops of an image are evaluated."""
        ...

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]: ...


@torch.no_grad()
def top1(method: Method, batches: Batches, world: World) -> Mapping[str, float]:
    """Return top-1 accuracy in percent of each of the method's predictions, by name, in evaluation mode.

    If the view has several crops, their logits are summed; the accuracy of the centre crop alone follows as
    NAME_centre, after all of these.

    Counts stay on the device until the end; the method is left in training mode. Each process evaluates its
    own `batches`, with the first one's running statistics, and returns the accuracy over all processes.
    """
    world.hand_on_buffers(method)
    method.eval()
    correct: dict[str, Tensor] = {}
    total = 0
    for images, labels in batches:
        total += len(labels)
        for name, logits in predictions(method, batches.view, images).items():
            hits = (logits.argmax(1) == labels).sum()
            correct[name] = correct[name] + hits if name in correct else hits
    method.train()
    counts = world.gather(({name: int(count) for name, count in correct.items()}, total))
    everything = sum(total for _, total in counts)
    # The first process has batches of any split, so it has all names.
    return {
        name: 100.0 * sum(found.get(name, 0) for found, _ in counts) / everything for name in counts[0][0]
    }


def predictions(method: Method, view: View, images: Tensor) -> dict[str, Tensor]:
    """Return logits (N, classes) by name, in the order in which they are reported.

    They are the method's predictions for `images`, summed over the view's crops; with several crops, those of
    the centre crop follow.
    """
    added: dict[str, Tensor] = {}
    centre: dict[str, Tensor] = {}
    crops = 0
    for crop in view.crops(images):
        for name, logits in method.predict(crop).items():
            added[name] = added[name] + logits if name in added else logits
            if crops == view.centre:
                centre[f"{name}_centre"] = logits
        crops += 1
    return added | centre if crops > 1 else added
