"""Copies small arrays from the host to the device."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor


def to_device(array: npt.NDArray[Any] | Tensor, device: torch.device) -> Tensor:
    """Copy a host array to `device` without waiting for the device."""
    tensor = torch.as_tensor(array)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)
