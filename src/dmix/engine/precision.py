"""The numerical precision of a training step.

Parameters, gradients, optimiser, losses and evaluation are float32 in every precision. With bf16 and fp16,
the matrix products and convolutions of a training step are in half precision. With tf32, GPUs that can do so
round the factors of float32 products and convolutions to ten bits, in training and evaluation; with fp32 they
do not, although torch allows it for convolutions by default.
"""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["fp32", "tf32", "bf16", "fp16"]
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def allow_tf32(precision: Precision) -> None:
    """Allow TF32 on this process's GPUs if `precision` is "tf32", else forbid it."""
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Return the autocast context in which the losses of a step are computed."""
    return torch.autocast(device.type, HALF.get(precision), enabled=precision in HALF)


def gradient_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """Return the gradient scaler that keeps fp16 gradients from vanishing; it is disabled otherwise.

    It skips a step whose gradients overflow, for which the host waits for the device once a step. bfloat16
    has float32's range and needs neither.
    """
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
