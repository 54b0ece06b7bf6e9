"""Top-1 accuracy on a whole split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from dmix.engine.distributed import World
from dmix.engine.task import Task


@torch.no_grad()
def top1(task: Task, batches: Iterable[tuple[Tensor, Tensor]], world: World) -> Mapping[str, float]:
    """Return top-1 accuracy in percent for everything that the task predicts, in evaluation mode.

    Counts stay on the device until the end; the task is left in training mode. Each process reads its own
    `batches`, with the running statistics of the first, and has the accuracy on all of them.
    """
    world.hand_on_buffers(task)
    task.eval()
    correct: dict[str, Tensor] = {}
    total = 0
    for images, labels in batches:
        total += len(labels)
        for name, logits in task.predict(images).items():
            hits = (logits.argmax(1) == labels).sum()
            correct[name] = correct[name] + hits if name in correct else hits
    task.train()
    counts = world.gather(({name: int(count) for name, count in correct.items()}, total))
    everything = sum(total for _, total in counts)
    # The first process has a share of any split, so it knows the names.
    return {
        name: 100.0 * sum(found.get(name, 0) for found, _ in counts) / everything for name in counts[0][0]
    }
