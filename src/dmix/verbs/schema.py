"""`dmix schema`: prints the JSON schema of the parameter files."""

from __future__ import annotations

import argparse


def run(_: argparse.Namespace) -> int:
    """Print the JSON schema of the parameter files."""
    from dmix.grid.editor_schema import as_text, editor_schema

    print(as_text(editor_schema()), end="")
    return 0
