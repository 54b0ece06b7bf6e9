"""Compares values that hold tensors, bit by bit, and keeps copies of them."""

from __future__ import annotations

import copy
import sys

import numpy as np
import torch

from dmix.data import send


def kept(value):
    """A copy that shares no memory, without a gradient."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: kept(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [kept(item) for item in value]
    return copy.deepcopy(value)


def same(one, other):
    """Whether two values are equal in structure, and all arrays in dtype and in every bit."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def numpy_state():
    """The state of NumPy's global generator, which no part may draw from."""
    return np.random.get_state()[1].copy()  # noqa: NPY002


def allow_meta(monkeypatch):
    """Let parts copy from the host to the meta device, which has no pinned memory and knows no autocast.

    Tensors of the meta device have no values: whatever would wait for one fails.
    """
    usual = send.to_device
    for name, module in list(sys.modules.items()):
        if name.startswith("dmix.") and getattr(module, "to_device", None) is usual:
            monkeypatch.setattr(module, "to_device", lambda array, device: torch.as_tensor(array).to(device))
    monkeypatch.setattr(torch, "autocast", _NoAutocast)


class _NoAutocast:
    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None
