"""Findings on the machine: interpreter, packages, GPU, git, disks."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import torch
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from dmix.data.loading.workers import SHARED_MEMORY
from dmix.doctor.finding import Finding
from dmix.environment import troubles
from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.job.preload import helper_address
from dmix.vision import torchvision

GROUP = "machine"
SHOWN = ("torch", "torchvision", "timm", "snakemake", "dvc", "opencv-contrib-python-headless")
SETUP = "make setup"
SHARED_BYTES = 1_000_000_000  # two batches of each of the largest recipes' processes, with room to spare
EMBEDDED_BYTES = 500_000_000  # data, records and weights of the embedded tier, with room to spare


def machine(folders: tuple[Path, ...]) -> Iterator[Finding]:
    """Yield findings on everything but data; `folders` are those that dmix writes to."""
    try:
        metadata = importlib.metadata.metadata("dmix")
    except importlib.metadata.PackageNotFoundError:
        yield Finding(GROUP, "dmix", "broken", "it is not installed", SETUP)
        return
    yield _python(SpecifierSet(metadata["Requires-Python"]))
    yield from _packages([Requirement(line) for line in metadata.get_all("Requires-Dist") or ()])
    yield _opencv()
    yield _torchvision()
    yield _params()
    yield _gpu()
    yield _git()
    yield from _environment()
    yield _helper()
    yield _shared_memory(Path(SHARED_MEMORY))
    for folder in folders:
        yield _disk(folder)


def _python(wanted: SpecifierSet) -> Finding:
    version = platform.python_version()
    if wanted.contains(version, prereleases=True):
        return Finding(GROUP, "python", "ok", version)
    return Finding(GROUP, "python", "broken", f"{version}, needed is {wanted}", f"{SETUP} PYTHON=python3.12")


def _packages(wanted: list[Requirement]) -> Iterator[Finding]:
    """Yield a finding for each package that is in `SHOWN` or wrong, then one for all others."""
    fine = 0
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        found = _package(requirement)
        if requirement.name in SHOWN or found.state != "ok":
            yield found
        else:
            fine += 1
    yield Finding(GROUP, "other packages", "ok", f"{fine} as required")


def _package(requirement: Requirement) -> Finding:
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(GROUP, requirement.name, "broken", "it is not installed", SETUP)
    if requirement.specifier.contains(version, prereleases=True):
        return Finding(GROUP, requirement.name, "ok", version)
    detail = f"{version}, needed is {requirement.specifier}"
    return Finding(GROUP, requirement.name, "broken", detail, SETUP)


def _opencv() -> Finding:
    try:
        import cv2
    except ImportError as error:
        return Finding(GROUP, "opencv loads", "broken", str(error), SETUP)
    if not hasattr(cv2, "saliency"):  # of the contrib modules, for SaliencyMix
        detail = f"{cv2.__file__} is a build without the saliency module"
        return Finding(GROUP, "opencv loads", "broken", detail, SETUP)
    return Finding(GROUP, "opencv loads", "ok", "with its saliency module")


def _torchvision() -> Finding:
    try:
        torchvision()
    except (ImportError, RuntimeError) as error:
        return Finding(GROUP, "torchvision loads", "broken", str(error), SETUP)
    return Finding(GROUP, "torchvision loads", "ok", "beside this torch")


def _params() -> Finding:
    try:
        runs = len(load_grid("embedded").runs)
    except DmixError as error:
        return Finding(GROUP, "params.yaml", "broken", error.message, error.way_out)
    return Finding(GROUP, "params.yaml", "ok", f"{runs} runs at tier embedded")


def _gpu() -> Finding:
    """Return the GPUs that torch sees; none is no fault, because the embedded tier trains on the CPU."""
    if not torch.cuda.is_available():
        driver = _driver()
        detail = (
            "none: CPU"
            if not driver
            else f"torch sees none: CPU (driver {driver}; torch is {torch.__version__})"
        )
        return Finding(GROUP, "gpu", "ok", detail)
    names = (torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count()))
    seen = ", ".join(f"{gpu.name} {gpu.total_memory / 2**30:.0f} GiB" for gpu in names)
    return Finding(GROUP, "gpu", "ok", f"{seen}; driver {_driver() or 'unknown'}, CUDA {torch.version.cuda}")


def _driver() -> str:
    """Return the version of NVIDIA's driver, or ""."""
    lines = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").splitlines()
    return lines[0].strip() if lines else ""


def _git() -> Finding:
    version = _output("git", "--version").removeprefix("git version ")
    if not version:
        return Finding(GROUP, "git", "missing", "records will not name a commit", "install git")
    commit = _output("git", "rev-parse", "--short", "HEAD")
    return Finding(
        GROUP, "git", "ok", f"{version}, at {commit}" if commit else f"{version}, outside of a checkout"
    )


def _environment() -> Iterator[Finding]:
    """Yield what is odd in the environment; none of it is broken, because the embedded tier does without."""
    odd = [Finding(GROUP, found.name, "missing", found.detail, found.command) for found in troubles()]
    yield from odd or [Finding(GROUP, "environment", "ok", "folders, encoding and variables as expected")]


def _helper() -> Finding:
    """Return whether the local profile can preload torch for many short runs."""
    try:
        return Finding(GROUP, "preloaded helper", "ok", f"its sockets are in {helper_address().parent}")
    except (OSError, DmixError) as error:
        return Finding(GROUP, "preloaded helper", "missing", f"each run imports torch itself: {error}")


def _output(*command: str) -> str:
    """Return what a command prints, or "" where it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _shared_memory(folder: Path) -> Finding:
    """Return whether worker processes that decode images can hand them over; the embedded tier has none."""
    name, way_out = f"shared memory at {folder}", "docker run --shm-size=8g, or train with --workers 0"
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(GROUP, name, "missing", f"{error.strerror}: no worker can decode images", way_out)
    detail = f"{free / 1e9:,.2f} GB free"
    if free < SHARED_BYTES:
        return Finding(GROUP, name, "missing", f"{detail}, too few to decode images in workers", way_out)
    return Finding(GROUP, name, "ok", detail)


def _disk(folder: Path) -> Finding:
    name = f"disk at {folder}/"
    there = next(place for place in (folder, *folder.resolve().parents) if place.exists())
    free = shutil.disk_usage(there).free
    detail = f"{free / 1e9:,.1f} GB free"
    if not os.access(there, os.W_OK):
        return Finding(GROUP, name, "broken", f"{there} cannot be written", f"chmod u+w {there}")
    if free < EMBEDDED_BYTES:
        return Finding(GROUP, name, "broken", detail, "free some disk space")
    return Finding(GROUP, name, "ok", detail)
