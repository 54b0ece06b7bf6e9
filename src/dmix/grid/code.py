"""The code digest: what of the source a run depends on, so that nothing else makes it stale.

The closure of a run's parts under imports inside `dmix`, each module by its syntax tree without
docstrings (comments and formatting never enter the tree). Rooms that cannot change a number (the
grid, the record, the report, the command line, the process that carries a run) are left out.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from dmix import PACKAGE
from dmix.grid.parts import module_of
from dmix.grid.spec import DIGEST_LENGTH, RunSpec, digest_of

NUMERIC_ROOMS = ("data", "backbones", "policies", "objectives", "methods", "engine")
# What every run rests on; the parts are found by name and added.
ENGINE = ("dmix.engine.assemble", "dmix.engine.device", "dmix.engine.score")
RELATION = ("dmix.engine.class_relation", "dmix.engine.device")


def code_modules(spec: RunSpec) -> Mapping[str, str]:
    """Return module name -> digest for every module that the numbers of this run depend on.

    Those of the run whose weights it starts from, and of the relationship it is taught, are among them.
    """
    engine = RELATION if spec.task == "relation" else ENGINE
    roots = tuple(
        module_of(section, values["use"]) for section, values in spec.settings.items() if "use" in values
    )
    found = dict(closure((*engine, *roots)))
    for needed in (spec.source, spec.relation):
        found |= {} if needed is None else code_modules(needed)
    return found


def code_digest(spec: RunSpec) -> str:
    """Return the run's code digest: 8 hexadecimal digits over `code_modules`."""
    return _combined(tuple(sorted(code_modules(spec).items())))


@cache
def _combined(modules: tuple[tuple[str, str], ...]) -> str:
    return digest_of(modules)


def closure(roots: Iterable[str]) -> Mapping[str, str]:
    """Return module -> digest for `roots` and all they import, directly or not, among the numeric rooms."""
    found: dict[str, str] = {}
    for root in roots:
        found |= _closure(root)
    return dict(sorted(found.items()))


@cache
def _closure(root: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    queue = [root]
    while queue:
        module = queue.pop()
        if module in found:
            continue
        path = _path(module)
        if path is None:
            continue
        found[module], imported = module_digest(path, module)
        queue += [name for name in imported if name.split(".")[1:2] and name.split(".")[1] in NUMERIC_ROOMS]
    return found


@cache
def _path(module: str) -> Path | None:
    base = PACKAGE.joinpath(*module.split(".")[1:])
    if base.with_suffix(".py").is_file():
        return base.with_suffix(".py")
    init = base / "__init__.py"
    return init if init.is_file() else None


@cache
def module_digest(path: Path, module: str) -> tuple[str, tuple[str, ...]]:
    """Return the digest of the module in file `path` and the names of the dmix modules it may import."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    text = "".join(_dump(tree))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH], tuple(_imports(tree, package))


def _imports(tree: ast.Module, package: str) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("dmix."))
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join((*above, base)) if base else ".".join(above)
            if base == "dmix" or base.startswith("dmix."):
                yield base
                # `from package import module` names a module; a name that is no module has no file.
                yield from (f"{base}.{alias.name}" for alias in node.names)


def _dump(node: ast.AST) -> Iterable[str]:
    """Yield a text of the tree that is equal on every Python: no empty fields, positions or docstrings.

    `ast.dump` is not used because its text differs between Python versions.
    """
    yield type(node).__name__
    yield "("
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(value, list) and _has_docstring(node):
            value = value[1:]
        if value is None or value == [] or name in ("ctx", "kind", "type_comment"):
            continue
        yield f"{name}="
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.AST):
                yield from _dump(item)
            else:
                yield repr(item)
            yield ","
    yield ")"


def _has_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node, clean=False) is not None
    )
