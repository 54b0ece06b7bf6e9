"""Sums a tier up in small files for `dvc metrics` and `dvc plots`: scores, verdicts and learning curves."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean

import pandas as pd

from dmix.claims.judge import judge_all
from dmix.files import write_text
from dmix.grid.expand import Grid
from dmix.grid.history import ACCURACY, read_rows
from dmix.grid.paths import HISTORY, records_folder
from dmix.report.frame import DONE, load_frame

METRICS, SCORES, CURVES = "metrics.json", "scores.csv", "curves.csv"


def write_summary(grid: Grid, folder: Path) -> list[Path]:
    """Write metrics.json, scores.csv and curves.csv of a tier's finished runs to `folder`; return them.

    metrics.json has the number of finished runs, the mean score of each cell in percent, and the verdict on
    each claim. The curves are means over the seeds of a cell, at steps that all of them have.

    Raises
    ------
    DmixError: a history is damaged, or the folder cannot be written.
    """
    root = records_folder(grid.tier)
    frame = load_frame(grid, tuple(grid.runs), root)
    done = frame[frame["state"] == DONE]
    cells = done.assign(cell=done["name"].str.rpartition("/")[0]).groupby("cell", sort=True)
    scores = {str(cell): fmean(own["score"]) for cell, own in cells}
    verdicts = {verdict.claim.id: verdict.word for verdict in judge_all(grid, frame, root)}
    metrics = {"runs": len(done), "score": scores, "claim": verdicts}
    curves = (line for cell, own in cells for line in _curve(str(cell), own, root))
    texts = {
        METRICS: json.dumps(metrics, indent=1) + "\n",
        SCORES: _csv(("cell", "score"), scores.items()),
        CURVES: _csv(("place", "cell", "step", "top1"), curves),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def _curve(cell: str, runs: pd.DataFrame, root: Path) -> Iterator[tuple[str, str, float, float]]:
    """Yield method, data set and backbone in one; cell; step; mean top-1 accuracy in percent."""
    found: dict[float, list[float]] = {}
    for folder, primary in zip(runs["folder"], runs["primary"], strict=True):
        for row in read_rows(root / folder / HISTORY):
            if (top1 := row.get(f"{ACCURACY}{primary}")) is not None:
                found.setdefault(row["step"], []).append(top1)
    place = "/".join(str(runs.iloc[0][axis]) for axis in ("method", "dataset", "backbone"))
    for step, accuracies in sorted(found.items()):
        if len(accuracies) == len(runs):
            yield place, cell, step, fmean(accuracies)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
