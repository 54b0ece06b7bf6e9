"""Keeps the signature of a function with it, for Snakemake, which asks for it up to five times per job.

`inspect.signature` returns the one that a function has (PEP 362), and works it out anew for others.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def signed(function: Function) -> Function:
    """Return the function itself, with its signature."""
    function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return function
