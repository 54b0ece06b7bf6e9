"""Notes the versions of the packages that compute a run's numbers; imports none of them."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from functools import cache

from dmix import __version__
from dmix.errors import DmixError

PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "opencv-contrib-python-headless", "scipy")


@cache
def noted() -> Mapping[str, str]:
    """Return name -> version as they were when this process asked first, which is before it trains.

    Packages may be upgraded while it runs; its modules stay those that it has imported.

    Raises
    ------
    DmixError: a package is not installed.
    """
    return installed()


def installed() -> Mapping[str, str]:
    """Return name -> version of dmix, Python and `PACKAGES` as they are installed now.

    Raises
    ------
    DmixError: a package is not installed.
    """
    try:
        packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    except importlib.metadata.PackageNotFoundError as error:
        raise DmixError(
            f"the package {error.name} is not installed", "run: make setup", exit_code=1
        ) from error
    return {"dmix": __version__, "python": platform.python_version(), **packages}
