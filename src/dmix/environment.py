"""Takes settings of the environment back that break dmix or a package it uses, and names those it cannot.

Notebooks, containers and batch nodes set variables for other programs, and lack folders that are taken for
granted.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SITE = Path("/var/tmp/dvc")  # noqa: S108


@dataclass(frozen=True)
class Trouble:
    """A variable or folder that is not as programs expect, and the command that puts it right."""

    name: str
    detail: str
    command: str


def settle() -> None:
    """Make this process write to any terminal, draw without a display, and survive warnings of packages."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")  # a terminal or log in ASCII, say
    # Figures are files; a notebook's backend is not even installed here.
    os.environ["MPLBACKEND"] = "agg"
    if any(option.partition(":")[0] == "error" for option in sys.warnoptions):
        # Set for the tests of something else: here a deprecation in a package would end a run.
        warnings.filterwarnings("default")


def troubles() -> Iterator[Trouble]:
    """Yield what in the environment other programs of the workflow stumble over."""
    here = Path.cwd() / "work/home"
    home = _home()
    if not home.is_absolute() or not _writable(home):
        detail = (
            f"HOME ({home}) cannot be written: Snakemake, DVC and uv keep their caches and settings there"
        )
        yield Trouble("home", detail, f"mkdir -p {here} && export HOME={here}")
    for variable in (
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "TORCH_HOME",
        "DVC_SITE_CACHE_DIR",
    ):
        place = os.environ.get(variable)
        if place and not _writable(Path(place)):
            yield Trouble(variable, f"{place} cannot be written", f"unset {variable}")
    if "DVC_SITE_CACHE_DIR" not in os.environ and not _writable(SITE):
        command = f"export DVC_SITE_CACHE_DIR={here}/dvc"
        yield Trouble("DVC_SITE_CACHE_DIR", f"{SITE}, where DVC writes, cannot be written", command)
    temporary = os.environ.get("TMPDIR")
    if temporary and not _writable(Path(temporary)):
        detail = f"{temporary} cannot be written; {tempfile.gettempdir()} is used"
        yield Trouble("TMPDIR", detail, "unset TMPDIR")
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if encoding.lower().replace("-", "") != "utf8":
        detail = f"text is printed as {encoding}: other characters show as \\x.."
        yield Trouble("encoding", detail, "export PYTHONIOENCODING=utf-8 LC_ALL=C.UTF-8")
    if "LOCAL_RANK" not in os.environ and os.environ.get("WORLD_SIZE", "1") != "1":
        detail = f"WORLD_SIZE={os.environ['WORLD_SIZE']} is not from torchrun and is passed over"
        yield Trouble("WORLD_SIZE", detail, "unset WORLD_SIZE RANK")
    if os.environ.get("PYTHONOPTIMIZE"):
        yield Trouble("PYTHONOPTIMIZE", "checks inside of packages are left out", "unset PYTHONOPTIMIZE")
    if os.environ.get("SNAKEMAKE_PROFILE"):
        detail = f"{os.environ['SNAKEMAKE_PROFILE']} is used where a command names no --profile"
        yield Trouble("SNAKEMAKE_PROFILE", detail, "unset SNAKEMAKE_PROFILE")


def _home() -> Path:
    """Return the user's home; a user of a container may have none."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("~")


def _writable(folder: Path) -> bool:
    """Return whether a folder, or the one that it would be made in, can be written."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
