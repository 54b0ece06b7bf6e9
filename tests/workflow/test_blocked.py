"""A genuine data set that is not on this machine keeps nothing else from being trained and rendered."""

from __future__ import annotations

import json
import subprocess

import pytest

from obtaining import CUB_SIZES, write_cub
from project import Project
from streamed import CIFAR10, DEPENDANTS, EVERYTHING, SOURCE, create, rule, streamed

WAY_OUT = "run dmix data fetch cub"


def output(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout


def statuses(project: Project) -> dict[str, tuple[str, str]]:
    tables = json.loads(output(project.dmix("status", "--tier", "smoke", "--json")))["tables"]
    return {name: (s["state"], s["detail"]) for rows in tables.values() for name, s in rows.items()}


def note(project: Project, ending: str) -> bool:
    text = (project.path / f"paper_tables/smoke/table_cub.{ending}").read_text()
    return f"2 cells blocked ({WAY_OUT}): Mixup, CutMix." in text


@pytest.mark.slow
def test_the_others_are_trained_and_the_blocked_when_their_data_are_there(tmp_path, embedded_data):
    params = streamed()
    genuine = {"dataset.edition": "real", "recipe.batch_size": 2}
    genuine |= {f"dataset.{key}": value for key, value in CUB_SIZES.items()}
    params["tiers"]["smoke"]["overrides"].append(rule({"dataset": "cub"}, genuine))
    project = create(tmp_path / "project", embedded_data, params)
    assert project.planned() == {SOURCE, *CIFAR10}
    told = project.snakemake("--quiet", "all")
    output(told)
    assert f"dmix: blocked: 2 of 6 runs of tier smoke: {WAY_OUT}\n" in told.stderr
    done = dict.fromkeys((SOURCE, *CIFAR10), ("done", ""))
    assert statuses(project) == {**done, **dict.fromkeys(DEPENDANTS, ("blocked", WAY_OUT))}
    assert all(note(project, ending) for ending in ("txt", "md", "tex"))

    write_cub(project.path / "data/real/CUB_200_2011")
    assert project.planned() == DEPENDANTS
    output(project.snakemake("--quiet", "all"))
    assert statuses(project) == dict.fromkeys(EVERYTHING, ("done", ""))
    assert not any(note(project, ending) for ending in ("txt", "md", "tex"))
