"""The workflow evaluates the runs of a figure that reads mixed accuracies, once, and draws the figure."""

from __future__ import annotations

import os
import re
import shutil
import time

import pytest

from mixed_project import CUTMIX, params
from project import Project

pytestmark = pytest.mark.slow


def jobs(done):
    """What was trained and evaluated, or would be, in the words of the workflow."""
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    return set(re.findall(r"(?m)^Job \d+: (Train \S+|Evaluate \S+ \(mixed\))$", text))


def test_evaluations_are_jobs_between_records_and_figures(tmp_path, embedded_data):
    project = Project.create(tmp_path / "project", embedded_data, params())
    target = "paper_tables/smoke/sweep.pdf"
    runs = {CUTMIX.replace("dm_ce", objective) for objective in ("mce", "dm_ce")}
    assert jobs(project.snakemake(target)) == {
        what.format(run) for what in ("Train {}", "Evaluate {} (mixed)") for run in runs
    }
    assert (project.path / target).exists()
    assert jobs(project.snakemake(target)) == set()

    # A clone's files have any time stamps.
    folder = project.folder(CUTMIX)
    (product,) = (project.path / "results/smoke/records/mixed").glob(f"{folder}-*/mixed.json")
    os.utime(product, (time.time() - 3600,) * 2)  # older than the record
    assert jobs(project.snakemake(target, "-n")) == set()

    # A figure that is drawn needs no evaluation; one that has to be drawn again needs this one alone.
    product.unlink()
    assert jobs(project.snakemake(target, "-n")) == set()
    shutil.rmtree(project.path / "results/smoke/build")
    (project.path / target).unlink()
    assert jobs(project.snakemake(target)) == {f"Evaluate {CUTMIX} (mixed)"}
    assert product.exists()
