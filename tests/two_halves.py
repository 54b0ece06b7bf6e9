"""Train half of a tier in each of two clones, share the halves through S3 and through SSH, and render.

    python tests/two_halves.py                             # a few runs of the smoke tier: a minute or two
    python tests/two_halves.py --tier embedded --whole     # all of the embedded tier: 15 minutes on 2 cores

Each half is trained once and shared through either server, by `dmix join`. Both clones must render the same
bytes, and so must a third that pulls the records alone and trains nothing. An assertion tells what is not so.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "tests/helpers"), str(ROOT / "src")]

import pytest  # noqa: E402

from dmix.grid.expand import load_grid  # noqa: E402
from dvc_checkouts import alone, checkout, dvc  # noqa: E402
from halves import clones, join_and_render, train_half, trained  # noqa: E402
from project import Project  # noqa: E402
from stores import KINDS  # noqa: E402

CIFAR = ("cifar10", "cifar100")


def halves_of(project: Project, tier: str) -> tuple[list[str], list[str]]:
    """Return the data sets of either half: CIFAR and the others, or where these lack, one of CIFAR each."""
    grid = load_grid(tier, project.path / "params.yaml")
    found = sorted({spec.axes["dataset"] for spec in grid.runs.values()})
    others = [name for name in found if name not in CIFAR]
    return (list(CIFAR), others) if others else (found[:1], found[1:])


def share(kind: str, place: Path, both: tuple[Project, Project], tier: str) -> None:
    """Share copies of both clones through a server of a kind, with all checks."""
    place.mkdir()
    copies = []
    for name, project in zip(("first", "second"), both, strict=True):
        shutil.copytree(project.path, place / name, symlinks=True)
        copies.append(Project(place / name))
    os.environ["AWS_CONFIG_FILE"] = str(place / "server/config")
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(place / "server/credentials")
    server = KINDS[kind](place / "server")
    server.start()
    try:
        for project in copies:
            for name, value in server.settings().items():
                dvc(project, "remote", "modify", "--local", "store", name, value)
        join_and_render(copies[0], copies[1], place / "third", tier)
    finally:
        server.kill()


def main() -> int:
    """Do as the command line says; an AssertionError ends it where something is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tier", default="smoke", help="(default: smoke)")
    parser.add_argument(
        "--whole", action="store_true", help="all runs of the tier (default: those of the tests)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dmix-halves-") as folder, pytest.MonkeyPatch.context() as patch:
        place = alone(Path(folder), patch)
        both = clones(checkout(place / "first", options.tier, whole=options.whole), place / "second")
        start = time.monotonic()
        for project, datasets in zip(both, halves_of(both[0], options.tier), strict=True):
            train_half(project, options.tier, datasets)
            said = f"{len(trained(project, options.tier))} runs on {', '.join(datasets)}"
            print(f"{project.path.name}: {said} ({time.monotonic() - start:.0f} s)", flush=True)
        for kind in KINDS:
            start = time.monotonic()
            share(kind, place / kind, both, options.tier)
            print(
                f"{kind}: joined, and three clones render the same ({time.monotonic() - start:.0f} s)",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
