"""Mixed precision: which arithmetic a training step uses.

Parameters, their gradients, the optimiser, losses and the test's readings are float32 whatever the recipe
says; what is in half precision are the matrix products and convolutions of a training step.
"""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Return the context in which the losses of a step are computed."""
    return torch.autocast(device.type, DTYPES[precision], enabled=precision != "fp32")


def gradient_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """Return the scaler that keeps the gradients of float16 from vanishing; it does nothing for the others.

    A step whose gradients overflow is skipped. To know that, the host waits for the device once a step:
    bfloat16, which has float32's range and needs no scale, does not wait.
    """
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
