"""Collects facts about the machine and the checkout for a record."""

from __future__ import annotations

import importlib.metadata
import platform
import resource
import subprocess
import sys
from pathlib import Path

import torch

from dmix import __version__
from dmix.record import Hardware

PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "opencv-contrib-python-headless")


def git_state() -> tuple[str | None, bool | None]:
    """Return the commit and whether the work tree differs from it, or (None, None) outside git."""
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        status = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None, None
    return commit.stdout.strip(), bool(status.stdout.strip())


def versions() -> dict[str, str]:
    """Return versions of dmix, Python, CUDA and the packages that compute a run's numbers."""
    found = {"dmix": __version__, "python": platform.python_version()}
    found |= {name: importlib.metadata.version(name) for name in PACKAGES}
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
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
