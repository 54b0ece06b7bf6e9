"""Prints a line for people, whether or not it can be written."""

from __future__ import annotations

import sys
from typing import TextIO


def say(text: str, stream: TextIO | None = None) -> None:
    """Print `text` at once to `stream`, by default standard output.

    A run must not end because a log cannot take a line: its disk may be full, or its reader gone.
    """
    try:
        print(text, file=sys.stdout if stream is None else stream, flush=True)
    except OSError:
        return  # there is no other place to say it
