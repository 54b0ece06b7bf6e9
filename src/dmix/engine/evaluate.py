"""Top-1 accuracy on a whole split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from dmix.engine.task import Task


@torch.no_grad()
def top1(task: Task, batches: Iterable[tuple[Tensor, Tensor]]) -> Mapping[str, float]:
    """Return top-1 accuracy in percent for each of the task's predictors, in evaluation mode.

    Counts stay on the device until the end; the task is left in training mode.
    """
    task.eval()
    predictors = task.predictors()
    correct: dict[str, Tensor] = {}
    total = 0
    for images, labels in batches:
        total += len(labels)
        for name, predict in predictors.items():
            hits = (predict(images).argmax(1) == labels).sum()
            correct[name] = correct[name] + hits if name in correct else hits
    task.train()
    return {name: 100.0 * int(count) / total for name, count in correct.items()}
