"""Collects facts about the machine and the checkout for a record."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from functools import cache
from pathlib import Path

import torch

from dmix import PACKAGE
from dmix.errors import DmixError
from dmix.job.versions import installed, noted
from dmix.record import Hardware

GIT_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")


def note() -> None:
    """Note commit and versions when a job starts; both may change before its record is written.

    Raises
    ------
    DmixError: a package was upgraded since this process noted the versions, before it imported any.
    """
    git_state()
    before, now = noted(), installed()
    if changed := [f"{name} {before[name]} -> {now[name]}" for name in now if before[name] != now[name]]:
        raise DmixError(
            f"packages were installed anew while this job was starting: {', '.join(changed)}",
            "run the same command again",
            exit_code=1,
        )


@cache
def git_state() -> tuple[str | None, bool | None]:
    """Return the commit of the imported source, and whether the work tree differed, at the first call.

    The checkout is the one that tracks the source, wherever the process was started. Without one: None, None.
    """
    try:
        _git("ls-files", "--error-unmatch", "__init__.py")
        return _git("rev-parse", "HEAD").strip(), bool(
            _git("status", "--porcelain", "--untracked-files=no").strip()
        )
    except (OSError, subprocess.CalledProcessError):
        return None, None


def _git(*arguments: str) -> str:
    # A hook or an alias sets GIT_DIR and the like for its own checkout.
    environment = {name: value for name, value in os.environ.items() if name not in GIT_PLACES}
    done = subprocess.run(
        ["git", *arguments], cwd=PACKAGE, env=environment, capture_output=True, check=True, encoding="utf-8"
    )
    return done.stdout


def versions(*more: str) -> dict[str, str]:
    """Return versions of dmix, Python, CUDA and the packages that compute a run's numbers, and of `more`."""
    found = {name: version for name, version in noted().items() if name != "scipy" or name in more}
    if torch.version.cuda:
        found["cuda"] = torch.version.cuda
    return found


def hardware(device: torch.device, processes: int = 1) -> Hardware:
    """Return the device, the thread count and the peak memory in MiB (of the GPU, else resident)."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        peak = torch.cuda.max_memory_allocated(device) / 2**20
    else:
        name = "cpu"
        unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB on Linux
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    return Hardware(
        device=name,
        threads=torch.get_num_threads(),
        processes=processes,
        host_cpu=_cpu(),
        peak_memory_mb=round(peak, 1),
    )


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
