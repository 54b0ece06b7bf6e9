"""`make gpu` from end to end, on the CPU with the smallest sizes."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from project import ROOT

PARTS = ("tests", "steps", "packed", "rates", "feeds", "methods", "recipes")

pytestmark = pytest.mark.slow


def gpu(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "benchmarks/gpu.py", "--rehearse", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_part_writes_its_rows_and_none_is_repeated(tmp_path):
    done = gpu("--minutes", "30", "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()[:-1]] == list(PARTS)
    found = {name: rows(tmp_path / f"{name}.csv") for name in PARTS}
    assert all(found.values())
    assert {row["outcome"] for row in found["tests"]} == {"passed", "skipped"}
    assert {row["precision"] for row in found["steps"]} == {"fp32", "bf16"}
    assert ("timm", "plain loop") in {(row["policy"], row["objective"]) for row in found["steps"]}
    assert {row["together"] for row in found["packed"]} == {"1", "2"}
    assert found["rates"] == found["packed"]  # the same kinds of steps, which are not measured again
    assert not list(tmp_path.glob("*.partial.csv"))

    written = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.csv") if path.stem in PARTS}
    again = gpu("--out", tmp_path)
    assert again.returncode == 0
    assert written == {
        path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.csv") if path.stem in PARTS
    }


def test_a_part_without_time_is_told_and_the_rest_is_kept(tmp_path):
    done = gpu("--minutes", "0.05", "--parts", "steps", "rates", "--out", tmp_path)
    assert done.returncode == 1
    assert "steps: failed (no time)" in done.stdout
    assert "rates: no time is left" in done.stdout
    assert "not measured: steps, rates; the same command goes on" in done.stderr
    assert not (tmp_path / "steps.csv").exists()
