"""Safe reading and exact writing of the subset of Python 2's pickle format that the CIFAR files use.

Reading allows only what an array of bytes needs. Writing emits Python 2 byte strings, which Python 3's
pickler cannot do, so that every reader of the real files reads ours, too.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dmix.errors import DmixError

Value = bytes | int | Sequence[bytes] | Sequence[int] | npt.NDArray[np.uint8]

# Errors that a damaged or foreign stream can raise in the unpickler or in the functions below.
_BROKEN = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError,
    AttributeError, OverflowError, MemoryError, struct.error,
)  # fmt: skip


def _empty_array(_kind: object, _shape: object, _code: object) -> npt.NDArray[np.uint8]:
    """Replace numpy's `_reconstruct`; the array's state, which follows, sets shape and content."""
    return np.ndarray((0,), np.uint8)


def _byte_dtype(code: bytes | str, *_flags: object) -> np.dtype[np.uint8]:
    """Replace `numpy.dtype`; the files hold bytes only, and numpy 2.4 warns of Python 2's integer flags."""
    if code not in (b"u1", "u1"):
        raise pickle.UnpicklingError(f"an array of {code!r}, not of unsigned bytes")
    return np.dtype(np.uint8)


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """Replace `_codecs.encode`, by which Python 3 writes bytes at protocol 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in the encoding {encoding!r}")
    return text.encode("latin1")


# Each allowed global is replaced by a restricted function, so that none of numpy's callables is reachable.
_ALLOWED: dict[tuple[str, str], object] = {
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("numpy", "ndarray"): "numpy.ndarray",  # only ever an argument of _reconstruct
    ("numpy", "dtype"): _byte_dtype,
    ("_codecs", "encode"): _latin1,
}


class _Restricted(pickle.Unpickler):
    def __init__(self, content: bytes, path: Path) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise DmixError(
                f"{self._path} refused: it asks for {module}.{name}, which no CIFAR file does",
                "do not open this file with anything else; replace it with the genuine one",
            ) from None


def loads(content: bytes, path: Path, way_out: str) -> dict[bytes, Any]:
    """Unpickle the dictionary in `content`; `path` and `way_out` are for the error messages.

    Raises
    ------
    DmixError: the stream is no whole pickle, has a global that is not allowed, or holds no dictionary.
    """
    try:
        found = _Restricted(content, path).load()
    except _BROKEN as error:
        raise DmixError(f"{path} cannot be unpickled: {error or type(error).__name__}", way_out) from error
    if not isinstance(found, dict):
        raise DmixError(f"{path} holds a {type(found).__name__}, not a dictionary", way_out)
    return found


def dumps(entries: Mapping[bytes, Value]) -> bytes:
    """Pickle `entries` (protocol 2) as Python 2 did: byte strings, and arrays of uint8 in C order."""
    items = b"".join(_bytes(key) + _value(value) for key, value in entries.items())
    return b"\x80\x02}(" + items + b"u."


def _value(value: Value) -> bytes:
    if isinstance(value, bytes):
        return _bytes(value)
    if isinstance(value, int):
        return _int(value)
    if isinstance(value, np.ndarray):
        return _array(value)
    return b"](" + b"".join(_bytes(item) if isinstance(item, bytes) else _int(item) for item in value) + b"e"


def _bytes(value: bytes) -> bytes:
    if len(value) < 256:
        return b"U" + bytes([len(value)]) + value
    return b"T" + struct.pack("<i", len(value)) + value


def _int(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + bytes([value])
    return b"J" + struct.pack("<i", value)


def _array(value: npt.NDArray[np.uint8]) -> bytes:
    """Return `_reconstruct(ndarray, (0,), "b")` and the state (1, shape, dtype, not Fortran, bytes)."""
    if value.dtype != np.uint8:
        raise TypeError(f"an array of {value.dtype}; the format holds uint8 only")
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
    dtype_state = b"(K\x03U\x01|NNN" + _int(-1) + _int(-1) + b"K\x00tb"
    shape = b"(" + b"".join(_int(length) for length in value.shape) + b"t"
    return empty + b"(K\x01" + shape + dtype + dtype_state + b"\x89" + _bytes(value.tobytes()) + b"tb"
