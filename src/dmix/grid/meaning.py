"""Reduces a module's source to what can change a number; modules with equal texts compute the same.

Left out, besides comments and formatting, which the syntax tree does not have:

* docstrings, and `__all__`;
* annotations, except those of a part's settings, which `params.yaml` is checked against, and those of class
  fields in modules that read annotations at run time (pydantic models);
* the text of errors: all arguments of `DmixError` except its exit code, and string arguments of any other
  exception where it is raised;
* imports of names that are unused once the above is gone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

Function = ast.FunctionDef | ast.AsyncFunctionDef
ACTING = ("ClassVar", "InitVar", "KW_ONLY")
"""Annotations of class fields that a dataclass interprets."""
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Fields of a statement that hold statements, or what holds statements."""
READERS = ("get_type_hints", "get_annotations", "__annotations__")
"""Names by which a module shows that it reads annotations."""


def meaning(source: str, path: str = "<module>") -> str:
    """Return the text of what the module `source` computes, the same on every Python version.

    Raises
    ------
    SyntaxError: it is not Python.
    """
    return meaning_of(ast.parse(source, path), path)


def meaning_of(tree: ast.Module, path: str = "<module>") -> str:
    """As `meaning`, of a syntax tree, which is taken apart."""
    stripped = _Strip(_reads_annotations(tree)).visit(tree)
    _drop_unused_imports(stripped, keeps_all=path.endswith("__init__.py"))
    return "".join(_dump(stripped))


def settings_of(node: Function | ast.ClassDef) -> ast.arguments | None:
    """Return the arguments of a function, or of a class's `__init__` if it has one, else None."""
    if isinstance(node, ast.ClassDef):
        inits = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
        return inits[0].args if inits else None
    return node.args


def is_part(node: ast.AST) -> bool:
    """Return whether a definition is marked `@part`."""
    return isinstance(node, ast.FunctionDef | ast.ClassDef) and any(
        isinstance(mark, ast.Name) and mark.id == "part" for mark in node.decorator_list
    )


def _reads_annotations(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                if any(name.name.partition(".")[0] == "pydantic" for name in names):
                    return True
            case ast.ImportFrom(module=module):
                if (module or "").partition(".")[0] == "pydantic":
                    return True
            case ast.Name(id=name) | ast.Attribute(attr=name):
                if name in READERS:
                    return True
    return False


class _Strip(ast.NodeTransformer):
    """Removes what cannot change a number; see the module's docstring."""

    def __init__(self, reads_annotations: bool) -> None:
        self.reads_annotations = reads_annotations
        self.kept: set[int] = set()  # ids of arguments that are settings

    def visit_Module(self, node: ast.Module) -> ast.AST:
        node.body = [
            item for item in _undocumented(node.body) if not _assigns_all(item) and not _future(item)
        ]
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._note_settings(node)
        node.body = [self._field(item) for item in _undocumented(node.body)]
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self._note_settings(node)
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        if id(node) in self.kept:
            node.annotation = _unquoted(node.annotation)
        else:
            node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if isinstance(node, _Field):
            return self.generic_visit(node)
        if node.value is None:
            return None
        return self.generic_visit(ast.Assign(targets=[node.target], value=node.value))

    def visit_If(self, node: ast.If) -> ast.AST | None:
        test = node.test
        if isinstance(test, ast.Name) and test.id == "TYPE_CHECKING" and not node.orelse:
            return None
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc.args = [value for value in node.exc.args if not _is_text(value)]
            node.exc.keywords = [word for word in node.exc.keywords if not _is_text(word.value)]
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "DmixError":
            node.args = []
            node.keywords = [word for word in node.keywords if word.arg == "exit_code"]
        return self.generic_visit(node)

    def _note_settings(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        arguments = settings_of(node) if is_part(node) else None
        self.kept |= {id(argument) for argument in (arguments.kwonlyargs if arguments else ())}

    def _function(self, node: Function) -> ast.AST:
        node.returns = None
        node.body = _undocumented(node.body)
        return self.generic_visit(node)

    def _field(self, node: ast.stmt) -> ast.stmt:
        """Return a class field whose annotation is reduced to what matters at run time."""
        if not isinstance(node, ast.AnnAssign):
            return node
        if self.reads_annotations:
            annotation = _unquoted(node.annotation)
        else:
            names = {each.id for each in ast.walk(_unquoted(node.annotation)) if isinstance(each, ast.Name)}
            annotation = ast.Constant(sorted(names.intersection(ACTING)))  # type: ignore[arg-type]
        return _Field(target=node.target, annotation=annotation, value=node.value, simple=node.simple)


class _Field(ast.AnnAssign):
    """A class field, kept with its annotation because a dataclass makes an argument of it."""


def _undocumented(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the statements without string expressions: docstrings, and strings below constants."""
    return [
        item
        for item in body
        if not (
            isinstance(item, ast.Expr)
            and isinstance(item.value, ast.Constant)
            and isinstance(item.value.value, str)
        )
    ]


def _assigns_all(item: ast.stmt) -> bool:
    targets = item.targets if isinstance(item, ast.Assign) else [getattr(item, "target", None)]
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def _future(item: ast.stmt) -> bool:
    return isinstance(item, ast.ImportFrom) and item.module == "__future__"


def _unquoted(annotation: Any) -> Any:
    """Return an annotation as an expression, parsed if it was written as a string."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return ast.parse(annotation.value, mode="eval").body
    return annotation


def _is_text(value: ast.expr) -> bool:
    if isinstance(value, ast.BinOp):
        return isinstance(value.op, ast.Add | ast.Mod) and (_is_text(value.left) or _is_text(value.right))
    return isinstance(value, ast.JoinedStr) or (
        isinstance(value, ast.Constant) and isinstance(value.value, str)
    )


def _drop_unused_imports(tree: ast.Module, *, keeps_all: bool) -> None:
    """Remove `from x import name` if the name is unused; keep all in a package, which may re-export it."""
    if keeps_all:
        return
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    parents: list[ast.AST] = [tree]
    while parents:
        parent = parents.pop()
        for field in BLOCKS:
            items = getattr(parent, field, None)
            if isinstance(items, list):
                parents += items
                setattr(parent, field, [item for item in items if _still_imports(item, used)])


def _still_imports(item: ast.stmt, used: set[str]) -> bool:
    if not isinstance(item, ast.ImportFrom):
        return True
    item.names = [name for name in item.names if (name.asname or name.name) in used or name.name == "*"]
    return bool(item.names)


def _dump(node: ast.AST) -> Iterator[str]:
    """Yield a text of the tree without empty fields and positions, the same on every Python version.

    `ast.dump` is not used because its text differs between Python versions.
    """
    yield type(node).__name__.lstrip("_")
    yield "("
    for name, value in ast.iter_fields(node):
        if value is None or value == [] or name in ("ctx", "kind", "type_comment", "type_params"):
            continue
        yield f"{name}="
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.AST):
                yield from _dump(item)
            else:
                yield repr(item)
            yield ","
    yield ")"
