"""Imports torchvision and timm, also where torchvision's native library cannot load.

Published torchvision wheels are built against a CUDA torch: their native library needs libtorch_cuda,
which a CPU build of torch does not have. The library then fails to load, silently, and torchvision goes
on to register meta kernels for operators that do not exist: `import torchvision` raises "operator
torchvision::nms does not exist". dmix needs none of those operators (models, transforms and data sets are
Python), so where the native library cannot load, the two modules that do the registering are left out of
the import. Nothing is faked: `torchvision.ops.nms` raises torchvision's own "Couldn't load custom C++ ops".
Where the library loads, this is a plain import. timm imports torchvision, so it is imported here too.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch

# Private names of torchvision 0.28 and 0.29, pyproject.toml's range; tests/models/test_vision.py tests this.
REGISTERING = ("torchvision._meta_registrations", "torchvision._autograd_registrations")


def torchvision() -> ModuleType:
    """Return the torchvision package, imported in the way that works beside this torch."""
    if "torchvision" not in sys.modules and not _native_loads():
        for name in REGISTERING:
            sys.modules[name] = types.ModuleType(name)
    return importlib.import_module("torchvision")


def timm() -> ModuleType:
    """Return the timm package."""
    torchvision()
    return importlib.import_module("timm")


def _native_loads() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("torchvision is not installed; run: make setup")
    load: Callable[[str], None] = torch.ops.load_library
    libraries = sorted(Path(spec.submodule_search_locations[0]).glob("_C*.so"))
    try:
        for library in libraries:
            load(str(library))
    except OSError:
        return False
    return bool(libraries)
