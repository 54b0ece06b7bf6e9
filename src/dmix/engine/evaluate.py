"""Top-1 accuracy on a whole split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from dmix.engine.task import Task


@torch.no_grad()
def top1(task: Task, batches: Iterable[tuple[Tensor, Tensor]]) -> Mapping[str, float]:
    """Return top-1 accuracy in percent for everything that the task predicts, in evaluation mode.

    Counts stay on the device until the end; the task is left in training mode.
    """
    task.eval()
    correct: dict[str, Tensor] = {}
    total = 0
    for images, labels in batches:
        total += len(labels)
        for name, logits in task.predict(images).items():
            hits = (logits.argmax(1) == labels).sum()
            correct[name] = correct[name] + hits if name in correct else hits
    task.train()
    return {name: 100.0 * int(count) / total for name, count in correct.items()}
