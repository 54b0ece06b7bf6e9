"""Finds a private folder for a helper's socket, and what a forked process has from its helper.

A process that is forked from the helper has the helper's umask, limits, cores, priority, cgroup and
namespaces, and the settings that Python and its libraries read from the environment when they start. They
have to be the client's, so they are part of the helper's address (`dmix.job.preload`).
"""

from __future__ import annotations

import os
import resource
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dmix.errors import DmixError

# Read by the interpreter, the dynamic linker or a library before a forked process could set them anew.
READ_AT_START = (
    *("PYTHON", "LANG", "LC_", "LD_", "DYLD_", "MALLOC_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_"),
    *("ATEN_", "TORCH", "PYTORCH_", "DNNL_", "ONEDNN_", "OPENCV_", "NPY_"),
)
LONGEST_ADDRESS = (
    95  # bytes; the system's limit is 107, macOS's 103, and a new socket has a longer name first
)


def inherited() -> tuple[object, ...]:
    """Return what a forked process has from the process that forked it, as far as it may differ."""
    limits = [
        resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")
    ]
    umask = os.umask(0o077)
    os.umask(umask)
    cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    places = [_read_link(f"/proc/self/ns/{kind}") for kind in ("pid", "mnt", "net")]
    environment = sorted(
        item
        for item in os.environ.items()
        # Each job has the number of its cores there; a run sets the number of its threads itself.
        if item[0].startswith(READ_AT_START) and not item[0].endswith("_NUM_THREADS")
    )
    return limits, umask, cores, os.nice(0), places, _cgroup(), environment


def private_folder(name: str) -> Path:
    """Return a folder that only this user can enter, in which a socket called `name` can be made.

    Raises
    ------
    DmixError: there is none.
    """
    reasons = []
    for place in _places():
        folder = place / f"dmix-{os.getuid()}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
        except OSError as error:
            reasons.append(f"{folder}: {error.strerror or error}")
            continue
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            reasons.append(f"{folder} must be a folder that only you can enter")
        elif len(os.fsencode(folder / name)) > LONGEST_ADDRESS:
            reasons.append(f"{folder} is too long for the path of a socket")
        else:
            return folder
    raise DmixError(f"no folder for its socket: {'; '.join(dict.fromkeys(reasons))}")


def _places() -> Iterator[Path]:
    with suppress(OSError):  # no temporary folder at all; the places below may do
        yield Path(tempfile.gettempdir())
    yield Path("/tmp")  # noqa: S108
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime)


def _read_link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def _cgroup() -> str:
    try:
        return Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
