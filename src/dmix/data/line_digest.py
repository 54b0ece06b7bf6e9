"""A digest of a list of lines that does not depend on their order, nor on how they end."""

from __future__ import annotations

import hashlib


def line_digest(content: bytes) -> str:
    """Return the SHA-256 (64 hex digits) of the lines of a text, sorted as bytes, each ended by a newline.

    White space at the end of a line does not count, and neither do empty lines.
    """
    lines = sorted(filter(None, (line.rstrip() for line in content.splitlines())))
    return hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
