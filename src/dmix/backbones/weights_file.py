"""Read a state dict from a file of weights in the forms that people have."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy._core import multiarray
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from dmix.errors import DmixError

WRAPPERS = ("module.", "_orig_mod.")  # DataParallel's, and torch.compile's, in front of every name
WAY_OUT = (
    "save the network's state dict alone, torch.save(state_dict, PATH), and let the file's name end "
    "with the start of its sha256"
)
# What torch.load may build beside tensors: numbers and arrays of numpy, such as the accuracy of a checkpoint.
NUMPY = [
    np.ndarray,
    np.dtype,
    *(getattr(np.dtypes, f"{name}DType") for name in ("Bool", "Float16", "Float32", "Float64")),
    *(getattr(np.dtypes, f"{kind}{bits}DType") for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)),
    *(
        (getattr(multiarray, name), f"numpy.{core}.multiarray.{name}")  # named so by numpy 1 and 2
        for core in ("core", "_core")
        for name in ("scalar", "_reconstruct")
    ),
]


def state_dict(data: bytes, path: Path) -> Mapping[str, Tensor]:
    """Return the tensors of a state dict by name.

    Read are files of torch.save and of safetensors, whatever their name ends with, and of checkpoints the one
    entry that is a state dict, such as `state_dict` or `model`. Prefixes of wrappers are taken off.

    Parameters
    ----------
    data: the content of the file `path`, whose checksum was right.

    Raises
    ------
    DmixError: it is something else, which the message names.
    """
    tensors = _own(_safetensors(data, path) if _is_safetensors(data) else _torch(data, path), path)
    for prefix in WRAPPERS * 2:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _is_safetensors(data: bytes) -> bool:
    """Return whether `data` begins with the length of a header, and the header."""
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8


def _safetensors(data: bytes, path: Path) -> Mapping[str, Tensor]:
    try:
        return dict(safetensors.torch.load(data))
    except safetensors.SafetensorError as error:
        raise _other(path, f"is no whole file of safetensors: {error}") from error


def _torch(data: bytes, path: Path) -> Any:
    with safe_globals(NUMPY):
        try:
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load has no common error for what it cannot read
            raise _other(path, _why_not(data)) from error


def _why_not(data: bytes) -> str:
    """Return why torch.load refused `data`."""
    try:
        foreign = get_unsafe_globals_in_checkpoint(io.BytesIO(data))
    except Exception:  # not even its list of types can be read
        foreign = []
    if foreign:
        return f"holds Python objects beside tensors, which could run code: {', '.join(sorted(foreign))}"
    return "is not a file that torch.load or safetensors reads"


def _own(found: Any, path: Path) -> Mapping[str, Tensor]:
    """Return `found` itself if it is a state dict, or the only one among its entries."""
    if not isinstance(found, Mapping):
        raise _other(path, f"holds an object of the type {type(found).__name__}")
    if _is_state(found):
        return found
    within = [name for name, value in found.items() if _is_state(value)]
    if not within:
        raise _other(path, f"has {_some(found)}, of which none is one")
    if len(within) > 1:
        raise _other(path, f"holds several: {_some(within)}")
    state: Mapping[str, Tensor] = found[within[0]]
    return state


def _some(entries: Iterable[object]) -> str:
    """Return the first names of entries, for a message."""
    first, *more = textwrap.wrap(", ".join(map(repr, entries)), 60) or ["no entries"]
    return f"{first} ..." if more else first


def _is_state(value: Any) -> bool:
    """Return whether `value` is a mapping from names to tensors, and not empty."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items())
    )


def _other(path: Path, what: str) -> DmixError:
    return DmixError(f"{path} is no state dict, though its checksum is right: it {what}", WAY_OUT)
