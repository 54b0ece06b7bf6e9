"""Packs columns of numbers into short text: integer differences, zigzag, varints, base64.

A column begins with its number of decimals. Then, for each row, comes 0 for a gap, or 1 more than the zigzag
code of the difference from the last number, both as varints (7 bits a byte, the lowest first; the eighth says
that more follow). `decode` in templates/decode.js is the same function as `unpack`.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence

Column = Sequence[float | None]

DIGITS = 4
MOST_DECIMALS = 22
"""10 to this power is the largest that is exact as a float: Python and JavaScript divide alike."""


def decimals_for(column: Column) -> int:
    """Return the decimals (negative: zeros) at which the largest number keeps `DIGITS` digits."""
    largest = max((abs(value) for value in column if value is not None), default=0.0)
    if largest == 0:
        return 0
    return max(-MOST_DECIMALS, min(MOST_DECIMALS, DIGITS - 1 - math.floor(math.log10(largest))))


def pack(columns: Iterable[tuple[Column, int]]) -> str:
    """Return columns, each with its number of decimals, as base64; None is a gap.

    Parameters
    ----------
    columns: numbers are finite. decimals: -22 to 22; numbers are rounded to them.
    """
    out = bytearray()
    for column, decimals in columns:
        _varint(out, _zigzag(decimals))
        last = 0
        for value in column:
            if value is None:
                out.append(0)
                continue
            number = round(value * 10**decimals if decimals >= 0 else value / 10**-decimals)
            _varint(out, _zigzag(number - last) + 1)
            last = number
    return base64.b64encode(bytes(out)).decode()


def unpack(text: str, columns: int, rows: int) -> list[list[float | None]]:
    """Return the columns that `pack` was given, rounded to their decimals."""
    codes = _codes(base64.b64decode(text))
    return [_column(codes, rows) for _ in range(columns)]


def _column(codes: Iterable[int], rows: int) -> list[float | None]:
    stream = iter(codes)
    decimals = _unzigzag(next(stream))
    found: list[float | None] = []
    last = 0
    for _ in range(rows):
        code = next(stream)
        if code:
            last += _unzigzag(code - 1)
            found.append(last / 10**decimals if decimals >= 0 else float(last * 10**-decimals))
        else:
            found.append(None)
    return found


def _codes(content: bytes) -> Iterable[int]:
    value = shift = 0
    for byte in content:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield value
            value = shift = 0


def _varint(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def _zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def _unzigzag(code: int) -> int:
    return -(code + 1) // 2 if code & 1 else code // 2
