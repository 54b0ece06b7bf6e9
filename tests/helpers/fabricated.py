"""Fabricates finished runs, with invented scores and nothing trained, for a whole tier in seconds.

    grid = everything_present(load_grid("full", ROOT / "params.yaml", thorough=False))
    fabricate(grid, tmp_path / "results/full/records")

Commands that run in `tmp_path` then find every run done: a run with a record needs no data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path

from dmix.grid.code import code_digest
from dmix.grid.expand import Grid
from dmix.grid.paths import HISTORY, RECORD, WEIGHTS, weights_beside
from dmix.grid.spec import RunSpec
from dmix.record import Hardware, Record, Scores

WEIGHT_BYTES = b"invented weights"
SPREAD = 0.3  # of a run's score in points, about that of the paper's Table 6


class Present(Grid):
    """A grid none of whose runs waits for data or weights."""

    def blocked(self, name: str, looked: object = None) -> None:
        return None


def everything_present(grid: Grid) -> Grid:
    """Return `grid` as a machine with all data has it."""
    return Present(**{field.name: getattr(grid, field.name) for field in fields(Grid)})


def fraction(*of: object) -> float:
    """Return a number in [0, 1) that is a hash of `of`."""
    return int.from_bytes(hashlib.sha256(repr(of).encode()).digest()[:6], "big") / 2**48


def invented_score(spec: RunSpec) -> float:
    """Return a score in percent: of the data set, method and network, then of the cell, then of the seed."""
    cell = spec.name.rpartition("/")[0]
    problem = (*(spec.axes[axis] for axis in ("method", "dataset", "backbone")), *spec.variation)
    base = 55 + 30 * fraction(*problem)
    return round(base + 6 * fraction(cell) + SPREAD * (fraction(spec.name) - 0.5) * 12**0.5, 4)


def fabricate(
    grid: Grid,
    runs_root: Path,
    names: Iterable[str] | None = None,
    *,
    score: Callable[[RunSpec], float] = invented_score,
    rows: int = 4,
) -> None:
    """Write record, history and weights of the runs `names` (default: all of the grid).

    Parameters
    ----------
    runs_root: results/<tier>/records. rows: of each history, the last of which has the score.
    """
    for name in grid.places if names is None else names:
        write_run(grid.runs[name], runs_root, grid.places[name], score(grid.runs[name]), rows)


def write_run(spec: RunSpec, runs_root: Path, place: str, score: float, rows: int = 4) -> None:
    """Write the products of one run; its primary predictor is called "model"."""
    folder, weights = runs_root / place, weights_beside(runs_root) / place
    for made in (folder, weights):
        made.mkdir(parents=True, exist_ok=True)
    history = history_text(spec, score, rows)
    (folder / HISTORY).write_text(history)
    (weights / WEIGHTS).write_bytes(WEIGHT_BYTES)
    record(spec, score, history).write(folder / RECORD)


def history_text(spec: RunSpec, score: float, rows: int) -> str:
    """Return a history that rises to `score`; recipes that count steps have no epochs."""
    length = int(spec.settings["recipe"].get("epochs") or spec.settings["recipe"].get("steps") or rows)
    lines = ["epoch,step,lr,loss,mixed,top1_model"]
    for row in range(1, rows + 1):
        share = row / rows
        at, top1 = max(1, round(length * share)), score * share**0.5
        lines.append(f"{at},{at * 10},{0.1 * (1 - share)!r},{5 - 4 * share!r},{5 - 4 * share!r},{top1!r}")
    return "\n".join(lines) + "\n"


def record(spec: RunSpec, score: float, history: str) -> Record:
    """Return a record that the grid accepts as the result of `spec`."""
    scores = Scores(
        median_last10=score, median_last20=score, best=min(100.0, score), last=score, last10=(score,)
    )
    return Record(
        name=spec.name,
        spec_digest=spec.digest(),
        code_digest=code_digest(spec),
        code_modules={},
        spec=spec.identity(),
        seed=spec.seed,
        data_edition=spec.settings["dataset"].get("edition", "real"),
        data_fingerprint=f"{spec.axes['dataset']:_<8}",
        git_commit="0" * 40,
        git_dirty=False,
        versions={"torch": "0"},
        hardware=Hardware(device="cpu", threads=1, host_cpu="invented", peak_memory_mb=1.0),
        precision="fp32",
        started="2000-01-01T00:00:00",
        finished="2000-01-01T01:00:00",
        seconds=3600.0,
        gpu_hours=1.0,
        images_per_second=1000.0,
        resumes=0,
        parameters=1,
        evaluations=(1,),
        scores={"model": scores},
        primary="model",
        score=score,
        weights_sha256=hashlib.sha256(WEIGHT_BYTES).hexdigest(),
        history_sha256=hashlib.sha256(history.encode()).hexdigest(),
    )
