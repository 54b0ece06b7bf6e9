"""A throw-away copy of the repository in which tests run the product's own commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dmix.grid.expand import Grid, load_grid
from dmix.grid.includes import read_params
from dry_runs import dry_run

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
COPIED = ("Snakefile", "workflows", "reference", "params", "src/dmix")
NO_RULES = "overrides: [] # ordered"
POLICIES = "policy: [mixup, cutmix, ghost]"


def small_params() -> str:
    """Return the params.yaml of test projects."""
    return (ROOT / "tests/small_params.yaml").read_text()


def real_params() -> dict[str, Any]:
    """Return what the repository's params.yaml and the files that it includes say."""
    return read_params(ROOT / "params.yaml").data


@cache
def real_grid(tier: str) -> Grid:
    """Return the grid of the repository's params.yaml, which takes seconds to make; made once a process."""
    return load_grid(tier, ROOT / "params.yaml")


def copy_params(folder: Path) -> list[Path]:
    """Copy the repository's params.yaml, and what it may include, to `folder`; return the YAML files."""
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copytree(ROOT / "params", folder / "params", dirs_exist_ok=True)
    return [folder / "params.yaml", *(folder / "params").rglob("*.yaml")]


@dataclass(frozen=True)
class Project:
    """A project folder; commands run in it and import its own copy of the source."""

    path: Path

    @classmethod
    def create(cls, path: Path, data: Path | None = None, params: str | None = None) -> Project:
        """Copy the repository to `path`, with `params` (by default the small ones) as its params.yaml."""
        for name in COPIED:
            source, target = ROOT / name, path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        (path / "params.yaml").write_text(small_params() if params is None else params)
        (path / "reference/equivalent.csv").unlink(missing_ok=True)  # of the repository's own runs
        if params != (ROOT / "params.yaml").read_text():  # other grids, and claims that need none of them
            shutil.copy(ROOT / "tests/small_claims.yaml", path / "reference/claims.yaml")
        if data is not None:
            (path / "data").symlink_to(data)
        return cls(path)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.path / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, *command: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.path, env=self.environment, capture_output=True, text=True, timeout=timeout
        )

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def dmix(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("dmix", *arguments)

    def snakemake(
        self, *arguments: str, tier: str = "smoke", timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        options = ("--profile", "workflows/profiles/local", *arguments, "--config", f"tier={tier}")
        if "-n" in arguments:
            return dry_run(self.path, self.environment, *options)
        return self.run("snakemake", *options, timeout=timeout)

    def planned(self, tier: str = "smoke") -> set[str]:
        """Return the names of the runs that the workflow would train, by a dry run."""
        done = self.snakemake("-n", tier=tier)
        assert done.returncode == 0, done.stdout + done.stderr
        return set(re.findall(r"(?m)^Job \d+: Train (\S+)$", done.stdout + done.stderr))

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.path / file
        text = path.read_text()
        assert text.count(old) == 1, (file, old, text.count(old))
        path.write_text(text.replace(old, new))

    def folder(self, name: str, tier: str = "smoke") -> str:
        """Return the folder of a run below results/<tier>/records."""
        script = (
            f"from dmix.grid.expand import load_grid; print(load_grid({tier!r}).folders[{name!r}], end='')"
        )
        done = self.run(sys.executable, "-c", script)
        assert done.returncode == 0, done.stderr
        return done.stdout
