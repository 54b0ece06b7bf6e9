"""The workflow trains exactly the runs of a selection, and makes tables of what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dry_runs import dry_run
from project import ROOT, Project

PROFILE = ("--profile", "workflows/profiles/local")


def choose(project: Project, tier: str, *options: str) -> set[str]:
    """Save a selection named mine, and return the names that `dmix runs` lists of it."""
    done = project.dmix("plan", "--tier", tier, *options, "--save", "mine")
    assert done.returncode == 0, done.stdout + done.stderr
    return set(project.dmix("runs", "--tier", tier, "--select", "mine").stdout.split())


def planned(project: Project, tier: str) -> set[str]:
    done = dry_run(
        project.path, project.environment, "-n", *PROFILE, "--config", f"tier={tier}", "select=mine"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return set(re.findall(r"(?m)^Job \d+: Train (\S+)$", done.stdout + done.stderr))


def test_a_dry_run_trains_exactly_the_selection(project):
    chosen = choose(project, "smoke", "--tables", "table1", "--seeds", "0", "--policies", "mixup")
    assert len(chosen) > 1
    assert planned(project, "smoke") == chosen < project.planned()


@pytest.mark.slow
def test_the_papers_table_1_with_seed_0_is_the_same_at_full_and_at_smoke_scale(tmp_path, embedded_data):
    """The selection of the full tier, in the cells that smoke has, is what smoke would train."""
    project = Project.create(tmp_path / "project", embedded_data, (ROOT / "params.yaml").read_text())
    options = ("--tables", "table1", "--seeds", "0")
    full, smoke = choose(project, "full", *options), choose(project, "smoke", *options)
    assert full == smoke
    assert planned(project, "smoke") == smoke


@pytest.mark.slow
def test_a_selection_is_trained_shown_and_completed(project):
    chosen = choose(project, "smoke", "--policies", "mixup")
    done = project.run(
        *("snakemake", *PROFILE, "--quiet", "rules", "--config", "tier=smoke", "select=mine"), timeout=1200
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    records = Path(project.path / "results/smoke/records").rglob("record.json")
    trained = {re.sub(r"-\w{8}-\w{8}$", "", str(path.parent)).partition("records/")[2] for path in records}
    assert trained == chosen
    assert planned(project, "smoke") == set()
    status = project.dmix("status", "--tier", "smoke", "--select", "mine")
    assert f"{len(chosen)} done of {len(chosen)}" in status.stdout
    first = (project.path / "paper_tables/smoke/table1.csv").read_text()
    done = project.snakemake("--quiet", "rules", timeout=1200)  # all of the tier, after the selection
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (project.path / "paper_tables/smoke/table1.csv").read_text() != first
