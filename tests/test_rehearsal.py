"""`make gpu` and `make bench` from end to end, on the CPU with the smallest sizes."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from project import ROOT

PARTS = {
    "cuda": ("tests", "steps", "packed", "rates", "feeds", "methods", "recipes", "roofline", "strong"),
    "cpu": (
        *("steps", "recipes", "roofline", "overhead", "feeds", "strong", "methods", "grid", "activations"),
    ),
}

pytestmark = pytest.mark.slow


def rehearse(device: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "benchmarks/measure.py", "--rehearse", "--device", device]
    command += map(str, arguments)
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def measured(device: str, folder: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of each part, all of which are measured in their order, and not repeated."""
    done = rehearse(device, "--minutes", "30", "--out", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in told[: len(PARTS[device])]] == list(PARTS[device])
    assert done.stdout.endswith(f"\n\n{(folder / 'table.md').read_text()}\n")
    assert [row["part"] for row in rows(folder / "parts.csv")] == list(PARTS[device])
    assert not list(folder.glob("*.partial.csv"))

    written = {name: (folder / f"{name}.csv").stat().st_mtime_ns for name in PARTS[device]}
    again = rehearse(device, "--out", folder)
    assert again.returncode == 0
    assert written == {name: (folder / f"{name}.csv").stat().st_mtime_ns for name in PARTS[device]}
    found = {name: rows(folder / f"{name}.csv") for name in PARTS[device]}
    assert all(found.values())
    return found


def test_every_part_for_a_gpu_writes_its_rows_and_none_is_repeated(tmp_path):
    found = measured("cuda", tmp_path)
    assert {row["outcome"] for row in found["tests"]} == {"passed", "skipped"}
    assert {row["precision"] for row in found["steps"]} == {"fp32", "bf16"}
    assert ("timm", "plain loop") in {(row["policy"], row["objective"]) for row in found["steps"]}
    assert {row["together"] for row in found["packed"]} == {"1", "2"}
    assert found["rates"] == found["packed"]  # the same kinds of steps, which are not measured again


def test_every_part_for_a_cpu_writes_its_rows_and_none_is_repeated(tmp_path):
    found = measured("cpu", tmp_path)
    assert {row["policy"] for row in found["overhead"]} == {"mixup", "automix"}
    assert {row["recipe"] for row in found["roofline"]} == {"cifar"}
    assert [row["mb_per_image"] for row in found["activations"]] == [
        row["reference"] for row in found["activations"]
    ]
    text = (tmp_path / "table.md").read_text()
    assert "not measured" not in text
    assert text.count("| dry run") == 3


def test_a_part_without_time_is_told_and_the_rest_is_kept(tmp_path):
    done = rehearse("cuda", "--minutes", "0.05", "--parts", "steps", "rates", "--out", tmp_path)
    assert done.returncode == 1
    assert "steps: failed (no time)" in done.stdout
    assert "rates: no time is left" in done.stdout
    assert "not measured: steps, rates; the same command goes on" in done.stderr
    assert not (tmp_path / "steps.csv").exists()


def test_parts_of_other_versions_are_not_mixed_with_new_ones(tmp_path):
    (tmp_path / "steps.csv").write_text("setup\n")
    (tmp_path / "machine.csv").write_text("device,torch\nCPU 1,1.0\n")
    done = rehearse("cpu", "--parts", "strong", "--out", tmp_path)
    assert done.returncode == 1
    assert "has parts of another machine or other versions" in done.stderr
    assert not (tmp_path / "strong.csv").exists()
    done = rehearse("cpu", "--parts", "steps", "--again", "--minutes", "0.01", "--out", tmp_path)
    assert "steps: failed (no time)" in done.stdout
    assert not (tmp_path / "steps.csv").exists()
