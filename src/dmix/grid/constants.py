"""Reads the constants of a module from its source, without running it; imports nothing slow."""

from __future__ import annotations

import ast


def assigned(tree: ast.Module, name: str) -> ast.expr | None:
    """Return the expression that a module assigns to `name`, or None."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return node.value
    return None
