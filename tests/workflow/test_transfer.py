"""Transfer learning as a workflow: one relationship for all, and a change re-runs only what it touches."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from dmix.record import read_record
from project import Project
from two_streams import transfer

pytestmark = pytest.mark.slow
RUNS = "results/smoke/records"
CELL, ON_18 = "cub/resnet50/{}/percent=15/s0", "cub/resnet18/{}/percent=15{}/s0"
TABLE_6 = {
    f"transfer/{method}/{CELL.format(objective)}"
    for method, objectives in {
        "fine_tuning": ("vanilla/ce", "mixup/dm_ce"),
        "bss": ("vanilla/ce",),
        "co_tuning": ("vanilla/ce", "mixup/dm_ce"),
        "self_tuning": ("vanilla/ce", "mixup/mce", "mixup/dm_ce"),
    }.items()
    for objective in objectives
}
TABLE_8 = {
    f"transfer/self_tuning/{ON_18.format(objective, rule)}"
    for objective, rule in (
        ("vanilla/ce", ""),
        ("mixup/mce", ""),
        ("mixup/mce", "/rule=at_least_half"),
        ("mixup/mce", "/rule=at_most_half"),
        ("mixup/dm_ce", ""),
        ("mixup/dm_ce", "/rule=at_least_half"),
        ("mixup/dm_ce", "/rule=free/sides=both"),
    )
}
SOURCES = {f"supervised/imagenet/{backbone}/vanilla/ce/s0" for backbone in ("resnet18", "resnet50")}
RELATION = "relation/cub/resnet50/percent=15/s0"


def of(method: str) -> set[str]:
    return {name for name in TABLE_6 | TABLE_8 if f"/{method}/" in name}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, embedded_data: Path) -> Project:
    """A project whose smoke tier is finished, in the place of the one with CIFAR alone."""
    path = tmp_path_factory.mktemp("transfer")
    project = Project.create(
        path / "project", embedded_data, params=yaml.safe_dump(transfer(path), sort_keys=False)
    )
    assert project.planned() == TABLE_6 | TABLE_8 | SOURCES
    done = project.snakemake("--quiet", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def relations(project: Project) -> set[str]:
    """Return the names of the relationships that a dry run of every record of the tier would learn."""
    done = project.snakemake("runs", "-n")
    assert done.returncode == 0, done.stdout + done.stderr
    return set(re.findall(r"(?m)^Job \d+: Learn (\S+)$", done.stdout + done.stderr))


def test_the_relationship_is_learned_once_for_all_runs_on_the_same_labels(trained: Project):
    [path] = (trained.path / "results/smoke/records").rglob("relation.json")
    relation = json.loads(path.read_bytes())
    assert relation["name"] == RELATION
    digests = set()
    for name in of("co_tuning"):
        record = read_record(trained.path / RUNS / trained.folder(name) / "record.json")
        assert record.relation_sha256 is not None
        assert record.labels is not None
        assert (record.labels.labelled, record.labels.unlabelled) == (60, 240)
        digests.add((record.relation_sha256, record.labels.sha256))
    assert len(digests) == 1
    assert digests.pop() == (relation["matrix_sha256"], relation["labelled_sha256"])
    assert "Nothing to be done" in trained.snakemake("-n").stdout


def test_the_labelled_images_are_listed_beside_the_record(trained: Project):
    lists = {path.read_text() for path in (trained.path / RUNS / "transfer").rglob("labelled.txt")}
    assert len(lists) == 1
    assert len(lists.pop().splitlines()) == 60


def test_tables_6_and_8_have_every_row(trained: Project):
    shown = (trained.path / "paper_tables/smoke/table6.txt").read_text()
    for row in (
        "Fine-Tuning",
        "Fine-Tuning +DM",
        "BSS",
        "Co-Tuning +DM",
        "Self-Tuning +Mixup",
        "Self-Tuning +DM",
    ):
        assert re.search(rf"^{re.escape(row)} .*\d\.\d\d", shown, re.MULTILINE), row
    shown = (trained.path / "paper_tables/smoke/table8.txt").read_text()
    for row in ("Self-Tuning", "no asymmetry", "AS, lam >= 0.5", "AS, lam <= 0.5"):
        assert re.search(rf"^{re.escape(row)} .*\d\.\d\d", shown, re.MULTILINE), row


def test_a_clone_with_records_trains_nothing(finished: Project):
    assert finished.planned() == set()
    assert relations(finished) == set()


def test_a_temperature_is_self_tunings(finished: Project):
    finished.edit("params.yaml", "    temperature: 0.07\n", "    temperature: 0.1\n")
    assert finished.planned() == of("self_tuning")
    assert relations(finished) == set()


def test_the_code_of_bss_is_that_of_its_cells(finished: Project):
    finished.edit(
        "src/dmix/methods/transfer/bss.py", '{"bss": self.shrinkage *', '{"bss": 2 * self.shrinkage *'
    )
    assert finished.planned() == of("bss")
    assert relations(finished) == set()


def test_how_a_relationship_is_learned_is_co_tunings(finished: Project):
    finished.edit("params.yaml", "      fit_percent: 80\n", "      fit_percent: 60\n")
    assert finished.planned() == of("co_tuning")
    assert relations(finished) == {RELATION}


def test_the_weight_of_the_relation_leaves_the_relationship_alone(finished: Project):
    finished.edit("params.yaml", "    relation_weight: 2.3\n", "    relation_weight: 1.0\n")
    assert finished.planned() == of("co_tuning")
    assert relations(finished) == set()


def test_the_strategy_is_that_of_mixed_cells(finished: Project):
    finished.edit("params.yaml", "    w_lu: 1.0\n", "    w_lu: 0.5\n")
    assert finished.planned() == {name for name in TABLE_6 | TABLE_8 if "/mixup/" in name}


def test_a_supervised_run_does_not_depend_on_two_streams(finished: Project):
    finished.edit("src/dmix/data/loading/two_streams.py", "steps_per_epoch = 0", "steps_per_epoch = 1")
    assert finished.planned() == TABLE_6 | TABLE_8


def test_a_relationship_that_is_gone_is_learned_again_only_for_a_run(trained: Project, tmp_path: Path):
    shutil.copytree(trained.path, tmp_path / "project", symlinks=True)
    project = Project(tmp_path / "project")
    shutil.rmtree(project.path / "results/smoke/records/relation")
    assert relations(project) == set()
    folder = project.path / RUNS / project.folder(f"transfer/co_tuning/{CELL.format('vanilla/ce')}")
    shutil.rmtree(folder)
    shutil.rmtree(project.path / "work/smoke/transfer/co_tuning")
    assert relations(project) == {RELATION}
