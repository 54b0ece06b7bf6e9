"""How numbers are printed: percent with two decimals."""

from __future__ import annotations

from collections.abc import Collection

DECIMALS = 2
GAP = "\N{EN DASH}"


def fixed(value: float) -> str:
    """Return `value` as tables print it."""
    return f"{value:.{DECIMALS}f}"


def printed(value: float) -> float:
    """Return `value` at the precision that tables print."""
    return float(fixed(value))


def signed(value: float) -> str:
    """Return a difference as tables print it: always with a sign, and zero as +0.00."""
    # A small negative number rounds to -0.0, and adding zero makes that 0.0.
    return f"{printed(value) + 0.0:+.{DECIMALS}f}"


def shortest(value: object) -> str:
    """Return a setting as headers print it: 1 for 1.0, and every digit of 0.25."""
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def exact(value: float | None) -> str:
    """Return a number for CSV with every digit, so that it reads back equal; "" where there is none."""
    return "" if value is None else repr(float(value))


def span(counts: Collection[int]) -> str:
    """Return the smallest and the largest of some counts: "2 to 3", or "3" where all are equal."""
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"
