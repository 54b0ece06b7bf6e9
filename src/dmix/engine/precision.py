"""Which arithmetic a training step uses.

Parameters, their gradients, the optimiser, losses and the test's readings are float32 whatever the recipe
says; what is in half precision are the matrix products and convolutions of a training step. With tf32, GPUs
that can round the factors of float32 products and convolutions to ten bits do so, in training and readings.
With fp32 they do not, though torch by itself would let them in convolutions.
"""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["fp32", "tf32", "bf16", "fp16"]
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def allow_tf32(precision: Precision) -> None:
    """Let this process's GPUs round the factors of float32 products, or forbid it."""
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Return the context in which the losses of a step are computed."""
    return torch.autocast(device.type, HALF.get(precision), enabled=precision in HALF)


def gradient_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """Return the scaler that keeps the gradients of float16 from vanishing; it does nothing for the others.

    A step whose gradients overflow is skipped. To know that, the host waits for the device once a step:
    bfloat16, which has float32's range and needs no scale, does not wait.
    """
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
