"""Tiers filled with invented results, and a real browser."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dmix.grid.expand import Grid, load_grid
from dmix.grid.paths import RunPaths
from dmix.grid.progress import Progress
from dmix.holder import me
from dmix.page.render import render
from dmix.reading import SEAL, seal
from fabricated import WEIGHT_BYTES, record
from project import ROOT, copy_params

FOREIGN = "</script><script>window.pwned = 1</script><img src=x onerror=alert(1)> & 'quoted' \"twice\" <!--"
ROWS = 100


def invented_history(rng: np.random.Generator, rows: int, terms: int = 2) -> str:
    """Return history.csv of a run that learns, with noise in every digit."""
    names = ["loss", "mixed", "one", "generator", "mask"][:terms]
    at = np.arange(1, rows + 1)
    top1 = np.round(80 * (1 - np.exp(-at / 30)) + rng.normal(0, 0.7, rows), 2).clip(0, 100)
    losses = [4.6 * np.exp(-at / (20 + 5 * i)) + 0.2 * rng.random(rows) for i in range(terms)]
    lines = ["epoch,step,lr," + ",".join(names) + ",top1_model"]
    for row in range(rows):
        values = ",".join(repr(float(loss[row])) for loss in losses)
        lines.append(f"{at[row]},{390 * at[row]},0.1,{values},{top1[row]}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Site:
    """A folder with parameters and results, in which pages are rendered."""

    path: Path
    grid: Grid

    @property
    def page(self) -> Path:
        return self.path / "results" / self.grid.tier / "report" / "index.html"

    def paths(self, name: str) -> RunPaths:
        return RunPaths(self.grid.tier, self.grid.places[name])

    def finish(self, name: str, score: float, history: str, **changes: object) -> None:
        """Write the files of a finished run."""
        folder = self.path / self.paths(name).results
        folder.mkdir(parents=True, exist_ok=True)
        made = record(self.grid.runs[name], score, history).model_copy(update=changes)
        stored = made.model_dump(mode="json")
        stored[SEAL] = seal(stored)
        # Not by `Record.write`, which waits for the disk: there are thousands of them.
        (folder / "record.json").write_text(json.dumps(stored))
        (folder / "history.csv").write_text(history)
        weights = self.path / self.paths(name).weights
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_bytes(WEIGHT_BYTES)

    def work(self, name: str, file: str, text: str) -> None:
        """Write a file of a run in progress."""
        path = self.path / self.paths(name).work / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def draw_figures(self, most: int = 1000) -> None:
        """Write drawings for the figures of the tier, `most` of them."""
        folder = self.path / "paper_tables" / self.grid.tier
        folder.mkdir(parents=True, exist_ok=True)
        for number, (name, entry) in enumerate(list(self.grid.figures.items())[:most]):
            picture = Image.new("RGB", (1650, 900), "white")
            pen = ImageDraw.Draw(picture)
            for wave in range(8):
                points = [(x, 450 + 400 * math.sin(x / (90 + 20 * wave) + number)) for x in range(0, 1650, 5)]
                pen.line(points, fill=(40 * wave % 256, 90, 160), width=4)
            picture.save(folder / f"{name}.png")
            told = {
                "number": entry.number,
                "title": entry.title,
                "caption": f"{FOREIGN} n = 3.",
                "alt": "Waves.",
            }
            (folder / f"{name}.json").write_text(json.dumps(told))

    def render(self) -> str:
        """Write the page and return its text."""
        with inside(self.path):
            render(self.grid, self.page.parent)
        return self.page.read_text()


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def make_site(folder: Path, tier: str) -> Site:
    copy_params(folder)
    shutil.copytree(ROOT / "reference", folder / "reference")
    with inside(folder):
        return Site(folder, load_grid(tier, thorough=False))


@pytest.fixture
def new_site(tmp_path: Path) -> Callable[[str], Site]:
    """A function that makes a folder without results, of a tier."""
    return lambda tier: make_site(tmp_path, tier)


FAILED, STOPPED, RUNNING, INVALID = (
    f"supervised/cifar100/resnet18/{cell}"
    for cell in ("cutmix/mce/s0", "cutmix/dm_ce/s0", "automix/mce/s1", "automix/dm_ce/s0")
)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The embedded tier, all runs done but one failed, one stopped, one running, one invalid."""
    made = make_site(tmp_path_factory.mktemp("site"), "embedded")
    rng = np.random.default_rng(0)
    with inside(made.path):
        for index, name in enumerate(made.grid.runs):
            if name in (FAILED, STOPPED, RUNNING):
                continue
            changes = {"seed": 77} if name == INVALID else {}
            made.finish(
                name, round(50 + 40 * rng.random(), 2), invented_history(rng, 6 + index % 3), **changes
            )
        made.work(
            FAILED, "failure.txt", f"ValueError: {FOREIGN}\n  at dmix/x.py:1 in step\n  log: work/log.txt"
        )
        made.work(FAILED, "log.txt", f"\x1b[31m{FOREIGN}\x1b[0m\nthe last line\n")
        made.work(STOPPED, "history.csv", invented_history(rng, 4))
        made.work(STOPPED, "checkpoint.pt", "")
        made.work(RUNNING, "lock", me().text)
        made.work(RUNNING, "history.csv", invented_history(rng, 1))
        progress = Progress(step=12, total=168, loss=2.5, seconds_left=7200.0, host="vm", pid=1)
        made.work(RUNNING, "progress.json", progress.model_dump_json())
    made.render()
    return made
