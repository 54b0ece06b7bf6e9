"""The summary for DVC: mean scores of cells, verdicts, and mean curves, in closed form."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from statistics import fmean

import pytest
import yaml

from dmix import cli
from dmix.grid.expand import Grid, load_grid
from fabricated import fabricate, invented_score
from project import ROOT, small_params

SUMMARY = Path("results/embedded/summary")
ROWS = 4


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    """A tier of which all runs but one are finished."""
    (tmp_path / "params.yaml").write_text(small_params())
    shutil.copytree(ROOT / "reference", tmp_path / "reference")
    shutil.copy(ROOT / "tests/small_claims.yaml", tmp_path / "reference/claims.yaml")
    monkeypatch.chdir(tmp_path)
    grid = load_grid("embedded")
    fabricate(grid, Path("results/embedded/records"), list(grid.places)[1:], rows=ROWS)
    assert cli.main(["summary"]) == 0
    return grid


def cells(grid: Grid) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for name in list(grid.places)[1:]:
        found.setdefault(name.rpartition("/")[0], []).append(invented_score(grid.runs[name]))
    return found


def test_metrics_are_means_over_the_seeds_that_are_there_and_verdicts(grid):
    metrics = json.loads((SUMMARY / "metrics.json").read_text())
    wanted = cells(grid)
    assert len(wanted[next(iter(wanted))]) == 2  # a seed lacks
    assert metrics["score"] == {cell: fmean(scores) for cell, scores in sorted(wanted.items())}
    assert metrics["runs"] == len(grid.places) - 1
    claims = yaml.safe_load(Path("reference/claims.yaml").read_text())["claims"]
    assert set(metrics["claim"]) == set(claims)
    assert set(metrics["claim"].values()) <= {"supported", "contradicted", "undecided", "not run"}


def test_bars_have_the_scores_and_curves_their_means_at_every_step(grid):
    with open(SUMMARY / "scores.csv", newline="") as stream:
        bars = {row["cell"]: float(row["score"]) for row in csv.DictReader(stream)}
    assert bars == json.loads((SUMMARY / "metrics.json").read_text())["score"]
    with open(SUMMARY / "curves.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    wanted = cells(grid)
    assert len(rows) == ROWS * len(wanted)
    for cell, scores in wanted.items():
        own = [row for row in rows if row["cell"] == cell]
        assert {row["place"] for row in own} == {"/".join(["supervised", *cell.split("/")[1:3]])}
        # The histories that tests fabricate rise to the score with the root of the share of steps.
        for number, row in enumerate(own, start=1):
            assert float(row["top1"]) == fmean(score * (number / ROWS) ** 0.5 for score in scores)
