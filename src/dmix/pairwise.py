"""Adds in a fixed order, so that a sum has the same bits however it is shared out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def in_pairs(items: Iterable[T], add: Callable[[T, T], T]) -> T:
    """Return the sum of `items`, added as a binary tree: pairs of neighbours, then pairs of these, and so on.

    Sums of consecutive runs of 2^k items, added in the same way, give the sum of all items bit for bit: the
    runs are branches of the tree. So do the items in reverse, if there are 2^k. At most log2(n) + 1 partial
    sums are held at a time, as `items` is consumed.

    Parameters
    ----------
    add: may change its arguments, of which neither is used again.

    Raises
    ------
    IndexError: there are no items.
    """
    partial: list[tuple[int, T]] = []  # sums of runs of items, with their lengths, which decrease
    for item in items:
        length, total = 1, item
        while partial and partial[-1][0] == length:
            total = add(partial.pop()[1], total)
            length *= 2
        partial.append((length, total))
    total = partial.pop()[1]
    while partial:
        total = add(partial.pop()[1], total)
    return total
