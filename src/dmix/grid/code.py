"""Computes a run's code digest, over the modules whose code can change its numbers.

A run depends on the engine and on its parts. Each of these is a root module with all that it imports,
directly or not, inside the packages whose code can change a number; its digest is over the meaning of these
modules (`dmix.grid.meaning`). The run's code digest is over the digests of its roots, each as the oldest one
that `dmix accept` has shown to be equal (`dmix.grid.equivalent`).
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path

from dmix import PACKAGE, imported
from dmix.grid.by_id import KEPT, ById
from dmix.grid.equivalent import Equivalences, equivalences
from dmix.grid.identity import Sections
from dmix.grid.kept_meanings import kept_meanings
from dmix.grid.meaning import meaning_of
from dmix.grid.parts import module_of
from dmix.grid.spec import DIGEST_LENGTH, RunSpec, digest_of

NUMERIC_ROOMS = ("data", "backbones", "policies", "objectives", "methods", "engine")
# Root modules of every run; those of its parts are added by name.
ENGINE = ("dmix.engine.assemble", "dmix.engine.device", "dmix.engine.score")
RELATION = ("dmix.engine.class_relation", "dmix.engine.device")
ROOT_DIGITS = 16


def code_roots(spec: RunSpec) -> Mapping[str, tuple[str, ...]]:
    """Return label -> root modules of everything that a run depends on.

    A label is "engine", or section/use of a part, such as policy/cutmix. The roots of the run whose weights
    it starts from, and of its class relation, are included.
    """
    found = dict(_own_roots(ById(spec.settings), spec.task))
    for needed in (spec.source, spec.relation):
        found |= {} if needed is None else code_roots(needed)
    return found


@lru_cache(maxsize=KEPT)
def _own_roots(settings: ById[Sections], task: str) -> Mapping[str, tuple[str, ...]]:
    found = dict([("class_relation", RELATION) if task == "relation" else ("engine", ENGINE)])
    for section, values in settings.value.items():
        if "use" in values:
            found[f"{section}/{values['use']}"] = (module_of(section, values["use"]),)
    return found


def code_parts(spec: RunSpec) -> Mapping[str, str]:
    """Return label -> digest of the current source of each part of a run, 16 hexadecimal digits each."""
    return {label: _root_digest(roots) for label, roots in code_roots(spec).items()}


def code_modules(spec: RunSpec) -> Mapping[str, str]:
    """Return module name -> digest of every module that the numbers of a run depend on."""
    found: dict[str, str] = {}
    for roots in code_roots(spec).values():
        found |= closure(roots)
    return found


def code_digest(spec: RunSpec) -> str:
    """Return the run's code digest, 8 hexadecimal digits; accepted code keeps the older code's digest."""
    known = equivalences()
    return known.oldest(_digest_of_parts(spec, known))


def digest_of_parts(spec: RunSpec) -> str:
    """Return the digest over a run's parts, before equivalences of whole runs are applied."""
    return _digest_of_parts(spec, equivalences())


def _digest_of_parts(spec: RunSpec, known: Equivalences) -> str:
    if spec.source is None and spec.relation is None:
        return _of_settings(ById(spec.settings), spec.task, known)
    return _of_roots(tuple(code_parts(spec).values()), known)


@lru_cache(maxsize=KEPT)
def _of_settings(settings: ById[Sections], task: str, known: Equivalences) -> str:
    """As `_digest_of_parts`, of what all seeds of a cell share."""
    return _of_roots(tuple(map(_root_digest, _own_roots(settings, task).values())), known)


def accepted(spec: RunSpec) -> tuple[str, ...]:
    """Return the reasons given to `dmix accept` for the current code of a run, the newest first."""
    known, parts = equivalences(), code_parts(spec).values()
    digests = (*parts, digest_of_parts(spec))
    lines = [line for digest in digests for line in known.lines(digest)]
    return tuple(dict.fromkeys(line.because for line in lines))


def edited_since(modules: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of those of `modules` that this process imported with another digest.

    Parameters
    ----------
    modules: module name -> digest, as `code_modules` returned it.
    """
    return tuple(
        name
        for name, digest in modules.items()
        if name in imported.SOURCES
        and _digest_of_source(imported.SOURCES[name], name, str(_path(name) or ""))[0] != digest
    )


def closure(roots: Iterable[str]) -> Mapping[str, str]:
    """Return module -> digest for `roots` and all they import from `NUMERIC_ROOMS`, directly or not."""
    return closure_in(roots, NUMERIC_ROOMS)


def closure_in(roots: Iterable[str], rooms: tuple[str, ...]) -> Mapping[str, str]:
    """Return module -> digest for `roots` and all they import from the folders `rooms`, directly or not."""
    found: dict[str, str] = {}
    for root in roots:
        found |= _closure(root, rooms)
    return dict(sorted(found.items()))


def module_digest(path: Path, module: str) -> tuple[str, tuple[str, ...]]:
    """Return the digest of the module in file `path` and the names of the dmix modules it may import."""
    return _of_file(path, module)


@cache
def _of_file(path: Path, module: str) -> tuple[str, tuple[str, ...]]:
    return _digest_of_source(path.read_bytes(), module, str(path))


@cache
def _digest_of_source(source: bytes, module: str, path: str = "") -> tuple[str, tuple[str, ...]]:
    is_package = path.endswith("__init__.py") or _path(module) == _package(module)
    name = f"{module}.__init__" if is_package else module
    return kept_meanings().of(name, source, lambda: _found_in(source.decode("utf-8"), module, is_package))


def _found_in(text: str, module: str, is_package: bool) -> tuple[str, tuple[str, ...]]:
    tree = ast.parse(text)
    imports = tuple(_imports(tree, module if is_package else module.rpartition(".")[0]))
    digest = hashlib.sha256(meaning_of(tree, "__init__.py" if is_package else module).encode()).hexdigest()
    return digest[:DIGEST_LENGTH], imports


@cache
def _root_digest(roots: tuple[str, ...]) -> str:
    modules = sorted(closure(roots).items())
    return hashlib.sha256(repr(modules).encode()).hexdigest()[:ROOT_DIGITS]


@cache
def _of_roots(digests: tuple[str, ...], known: Equivalences) -> str:
    return digest_of(sorted({known.oldest(digest) for digest in digests}))


@cache
def _closure(root: str, rooms: tuple[str, ...]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    queue = [root]
    while queue:
        module = queue.pop()
        if module in found:
            continue
        path = _path(module)
        if path is None:
            continue
        found[module], imports = module_digest(path, module)
        queue += [name for name in imports if name.split(".")[1:2] and name.split(".")[1] in rooms]
    return found


@cache
def _path(module: str) -> Path | None:
    base = PACKAGE.joinpath(*module.split(".")[1:])
    if base.with_suffix(".py").is_file():
        return base.with_suffix(".py")
    init = _package(module)
    return init if init.is_file() else None


def _package(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")[1:], "__init__.py")


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
