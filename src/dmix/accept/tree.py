"""Copies source trees into temporary folders, and runs scripts there with the tree's own dmix."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dmix.errors import DmixError

GENERATED = ("results", "work", "data")
"""Folders that are removed before a replay, also if some of their files are committed."""
SCRIPTS = Path(__file__).resolve().parent
Described = Mapping[str, Mapping[str, Any]]
"""Run -> its identity, folder, parts and needs."""
Runs = Mapping[str, Described]
"""Tier -> run -> its identity, folder and parts; see `runs_of_tree`."""


@dataclass(frozen=True)
class Tree:
    """A source tree: `path` is its root, `name` its name in messages."""

    path: Path
    name: str

    def script(self, name: str, *arguments: str) -> str:
        """Run a script of this package with the tree's dmix, and return what it prints.

        Raises
        ------
        DmixError: it failed; the message ends with its last lines of output.
        """
        done = subprocess.run(
            [sys.executable, "-P", str(SCRIPTS / name), *arguments],
            cwd=self.path,
            env={**os.environ, "PYTHONPATH": str(self.path / "src"), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            encoding="utf-8",
        )
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
            raise DmixError(f"{name} failed in {self.name}:\n{tail}", exit_code=1)
        return done.stdout

    def runs(self) -> Runs:
        """Return identity, folder and parts of every run of the tree."""
        found: Runs = json.loads(self.script("runs_of_tree.py"))
        return found


@contextmanager
def both_trees(commit: str) -> Iterator[tuple[Tree, Tree]]:
    """Yield copies of the tree of `commit` and of the working directory, removed afterwards.

    Raises
    ------
    DmixError: this is no git checkout, or there is no such commit.
    """
    with TemporaryDirectory(prefix="dmix-accept-") as folder:
        old, new = Path(folder, "old"), Path(folder, "new")
        git("worktree", "add", "--detach", "--quiet", str(old), commit)
        try:
            for name in git("ls-files", "-z", "-co", "--exclude-standard").split("\0"):
                source = Path(name)
                if name and source.is_file():
                    target = new / source
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(source, target)
            for tree, generated in itertools.product((old, new), GENERATED):
                if (tree / generated).exists():
                    shutil.rmtree(tree / generated)
            yield Tree(old, f"the code of {commit[:10]}"), Tree(new, "today's code")
        finally:
            git("worktree", "remove", "--force", str(old))


def full_hash(revision: str) -> str:
    """Return the hash of a revision.

    Raises
    ------
    DmixError: see `both_trees`.
    """
    return git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()


def git(*arguments: str) -> str:
    """Return the output of a git command."""
    command: Sequence[str] = ("git", *arguments)
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    except FileNotFoundError as error:
        raise DmixError("dmix accept needs git, which is not on this machine") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip() or f"there is no {arguments[-1]!r}"
        raise DmixError(
            f"git {arguments[0]}: {said}", "run dmix accept in a git checkout, with a commit that it has"
        ) from error
    return done.stdout
