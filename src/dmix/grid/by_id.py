"""A key of caches for mappings that cannot be hashed: two keys are equal if they hold the same object."""

from __future__ import annotations

from typing import Generic, TypeVar

KEPT = 20_000
"""Entries of a cache that is asked once per run: more than the cells of the largest grid."""

Value = TypeVar("Value")


class ById(Generic[Value]):
    """Holds an object that is never changed, and compares by its identity.

    A cache keeps its keys, and so the object: its identity cannot be given to another one meanwhile.
    """

    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ById) and other.value is self.value
