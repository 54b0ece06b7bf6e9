"""The data frame of runs: the result of each, or why it has none."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dmix.errors import DmixError
from dmix.grid.damage import Digest, damage, remembered
from dmix.grid.expand import Grid
from dmix.grid.paths import RECORD, WEIGHTS, weights_beside
from dmix.grid.spec import AXES, RunSpec, canonical_json
from dmix.record import Record
from dmix.report.valid import read_valid

DONE = "done"
MISSING = "missing"
UNIMPLEMENTED = "not yet implemented"
INVALID = "invalid"
DAMAGED = "damaged"
BLOCKED = "blocked"
NO_SETTING = ""

LEADING = ("name", "task", *AXES, "addon", "recipe", "seed")
NUMBERS = ("score", "median_last10", "best", "last")
COSTS = ("seconds", "gpu_hours", "images_per_second")
DIGESTS = ("spec_digest", "code_digest")
TEXTS = ("data_edition", "data_fingerprint", "precision", "device", "git_commit", "weights_sha256")
TRAILING = ("state", "problem", *NUMBERS, "primary", *COSTS, "resumes", *DIGESTS, *TEXTS, "folder")


def load_frame(
    grid: Grid, names: Iterable[str], runs_root: Path, settings: Iterable[str] = ()
) -> pd.DataFrame:
    """Return one row for each run of `names`, in this order, also for those without a record.

    Columns are `LEADING`, then the settings that these runs have as extra axes and `settings`, by name, then
    `TRAILING`. A text that does not exist is "", a number that does not exist is missing. `state` is "done",
    "missing", "blocked" (`problem` says how to get what is not on this machine), "not yet implemented"
    (`problem` names the source files), "invalid" (`problem` says why the record is not the run's; the frame
    has no number of it) or "damaged" (another file of the run is not what the record says; no number either).

    Parameters
    ----------
    runs_root: the folder that holds the run folders, results/<tier>/records.
    settings: further settings, such as objective.eta, that are to be columns.

    Raises
    ------
    DmixError: two records of one data set were made from different bytes.
    """
    names = tuple(names)
    extra = sorted({key for name in names for key, _ in grid.runs[name].variation}.union(settings))
    with remembered(runs_root) as digest:
        rows = [_row(grid, name, runs_root, digest) | _settings(grid.runs[name], extra) for name in names]
    _check_fingerprints(rows, grid)
    # As objects first: a column of whole and other numbers would otherwise turn 2 into 2.0.
    frame = pd.DataFrame(rows, columns=[*LEADING, *extra, *TRAILING], dtype="object")
    kinds = {"seed": "int64", "resumes": "Int64"} | dict.fromkeys((*NUMBERS, *COSTS), "float64")
    return frame.astype(dict.fromkeys(frame.columns, "object") | kinds)


def to_csv(frame: pd.DataFrame) -> str:
    """Return `frame` as CSV, with every digit of its numbers and equal on every machine."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(frame.columns)
    for row in frame.itertuples(index=False, name=None):
        writer.writerow([_text(value) for value in row])
    return out.getvalue()


def _text(value: Any) -> str:
    if isinstance(value, list | tuple | dict):
        return canonical_json(value)
    if pd.isna(value):
        return ""
    return repr(float(value)) if isinstance(value, float) else str(value)


def _settings(spec: RunSpec, keys: Iterable[str]) -> dict[str, Any]:
    """Return resolved settings by name, whether the run's grid varies them or not."""
    split = {key: key.partition(".") for key in keys}
    return {
        key: spec.settings.get(section, {}).get(name, NO_SETTING) for key, (section, _, name) in split.items()
    }


def _row(grid: Grid, name: str, runs_root: Path, digest: Digest) -> dict[str, Any]:
    spec = grid.runs[name]
    row: dict[str, Any] = {"name": name, "task": spec.task, "addon": "", **spec.axes, "seed": spec.seed}
    row["recipe"] = grid.cells[name].recipe
    row |= dict.fromkeys(("problem", "primary", *DIGESTS, *TEXTS, "folder"), "")
    row["spec_digest"] = spec.digest()
    if files := grid.missing(name):
        return row | {"state": UNIMPLEMENTED, "problem": ", ".join(files)}
    way_out = grid.blocked(name)
    if way_out is not None:
        return row | {"state": BLOCKED, "problem": way_out}
    folder = grid.folders[name]
    row |= {"folder": folder, "code_digest": folder.rpartition("-")[2]}
    weights = weights_beside(runs_root) / folder / WEIGHTS
    return {**row, **_result(runs_root / folder / RECORD, weights, spec, digest)}


def _result(path: Path, weights: Path, spec: RunSpec, digest: Digest) -> dict[str, Any]:
    if not path.exists():
        return {"state": MISSING}
    record, problem = read_valid(path, spec)
    if record is None:
        return {"state": INVALID, "problem": problem}
    if problem := damage(path.parent, weights, digest):
        return {"state": DAMAGED, "problem": problem}
    return {"state": DONE, **_values(record)}


def _values(record: Record) -> Mapping[str, Any]:
    scores = record.scores[record.primary]
    direct = ("score", "primary", *COSTS, "resumes", "data_edition", "data_fingerprint", "precision")
    return {
        **{key: getattr(record, key) for key in (*direct, "weights_sha256")},
        **{key: getattr(scores, key) for key in NUMBERS[1:]},
        "device": record.hardware.device,
        "git_commit": record.git_commit or "",
    }


def _check_fingerprints(rows: Iterable[Mapping[str, Any]], grid: Grid) -> None:
    """Refuse records of one data set that were made from different bytes, because they do not compare."""
    first: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        if row["state"] != DONE:
            continue
        # An ablation may vary a data set's size: each size is a data set here.
        data = canonical_json([row["dataset"], grid.runs[row["name"]].settings.get("dataset", {})])
        other = first.setdefault(data, row)
        if other["data_fingerprint"] != row["data_fingerprint"]:
            raise DmixError(
                f"two runs on {row['dataset']} were trained on different data: {other['name']} "
                f"(fingerprint {other['data_fingerprint']}) and {row['name']} "
                f"(fingerprint {row['data_fingerprint']})",
                "find which data are the right ones, delete the records made from the others "
                f"(such as {row['folder']}/{RECORD} or {other['folder']}/{RECORD}) and run them again",
            )
