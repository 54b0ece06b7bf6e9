"""The tiers of one GPU run whole at smoke scale, and `dmix plan` chooses among their runs."""

from __future__ import annotations

import re

import pytest

from project import ROOT, Project

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path, embedded_data):
    return Project.create(tmp_path / "project", embedded_data, (ROOT / "params.yaml").read_text())


@pytest.mark.parametrize("tier", ["hour_smoke", "day_smoke"])
def test_every_cell_trains_and_every_table_is_made(project, tier):
    done = project.snakemake("--cores", "2", "--quiet", "rules", tier=tier, timeout=3600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    plan = project.dmix("plan", "--tier", tier).stdout
    (every,) = re.findall(r"(?m)^all +(\d+) +(\d+) +(\d+) +(\d+)", plan)
    assert every == (every[0], every[0], "0", "0")
    assert int(every[0]) > 5
    assert (project.path / f"paper_tables/{tier}/tableS9.tex").exists()


def test_a_budget_is_a_selection_that_the_workflow_and_status_take(project):
    (project.path / "data").unlink()  # a link to embedded data
    for folder in ("cifar-100-python", "cifar-10-batches-py"):  # as if they were here; nothing is trained
        (project.path / "data/real" / folder).mkdir(parents=True)
    done = project.dmix("plan", "--tier", "day", "--gpu", "h100", "--budget", "10")
    assert done.returncode == 0, done.stderr
    runs = int(re.search(r"^(\d+) claims, (\d+) runs", done.stdout)[2])
    assert runs > 0
    path = project.path / "results/day/selections/budget-10h.txt"
    assert len([line for line in path.read_text().splitlines() if not line.startswith("#")]) == runs
    planned = project.run(
        *("snakemake", "runs", "-n", "--profile", "workflows/profiles/local"),
        *("--config", "tier=day", "select=budget-10h"),
    )
    text = planned.stdout + planned.stderr
    assert planned.returncode == 0, text
    assert len(set(re.findall(r"(?m)^Job \d+: Train (\S+)$", text))) == runs
    status = project.dmix("status", "--tier", "day", "--select", "budget-10h", "--json")
    assert status.returncode == 0, status.stderr
    assert status.stdout.count('"state": "missing"') == runs
