"""A second change re-runs only what it touches, also where no Snakemake metadata exists."""

from __future__ import annotations

import json
import shutil

import pytest

from project import NO_RULES, Project

pytestmark = pytest.mark.slow

DM_CE = "static: {objective.eta: 0.1, policy.alpha: 0.2}"
CUTMIX = "src/dmix/policies/cutmix.py"
CELLS = ("cifar10/resnet18", "cifar100/resnet18", "cifar100/resnext50")


def cells(policy: str, *objectives: str) -> set[str]:
    return {f"supervised/{cell}/{policy}/{o}/s0" for cell in CELLS for o in objectives}


def test_the_trained_tier_is_complete(trained: Project):
    status = json.loads(trained.dmix("status", "--tier", "smoke", "--json").stdout)
    states = {s["state"] for table in status["tables"].values() for s in table.values()}
    assert states == {"done", "not yet implemented"}
    for name in ("table1", "tableS1"):
        for ending in ("tex", "csv", "md", "txt"):
            assert (trained.path / f"paper_tables/smoke/{name}.{ending}").stat().st_size > 0


def test_nothing_to_do(trained: Project):
    again = trained.snakemake("-n")
    assert "Nothing to be done" in again.stdout + again.stderr


def test_a_clone_with_records_trains_nothing(finished: Project):
    assert finished.planned() == set()


def test_one_eta_for_one_policy_on_one_data_set(finished: Project):
    rule = "{when: {policy: cutmix, dataset: cifar10}, set: {objective.eta: 0.2}, why: test}"
    rule = rule.replace("policy: cutmix,", "policy: cutmix, objective: dm_ce,")
    finished.edit("params.yaml", NO_RULES, f"overrides: [{rule}] # ordered")
    assert finished.planned() == {"supervised/cifar10/resnet18/cutmix/dm_ce/s0"}
    plan = finished.dmix("plan", "--tier", "smoke", "--why").stdout
    assert "cutmix/dm_ce/s0: objective.eta: 0.1 -> 0.2" in plan
    finished.edit("params.yaml", f"overrides: [{rule}] # ordered", NO_RULES)
    assert finished.planned() == set()


def test_a_seed(finished: Project):
    before = json.loads(finished.dmix("status", "--tier", "smoke", "--json").stdout)["tables"]
    done = {name for table in before.values() for name, s in table.items() if s["state"] == "done"}
    finished.edit("params.yaml", "    seeds: [0]\n    estimate", "    seeds: [0, 1]\n    estimate")
    assert finished.planned() == {f"{name[:-1]}1" for name in done}


def test_a_comment_and_a_docstring(finished: Project):
    finished.edit(CUTMIX, "        n, _, height", "        # A remark.\n        n, _, height")
    finished.edit(CUTMIX, '"""Paste each partner\'s box', '"""Paste every partner\'s box')
    assert finished.planned() == set()


def test_a_constant_in_one_policy(finished: Project):
    finished.edit(CUTMIX, "rng.integers(side, size", "rng.integers(side - 1, size")
    assert finished.planned() == cells("cutmix", "mce", "dm_ce")
    plan = finished.dmix("plan", "--tier", "smoke").stdout
    assert "6 to train: code of dmix.policies.cutmix changed" in plan
    finished.edit(CUTMIX, "rng.integers(side - 1, size", "rng.integers(side, size")
    assert finished.planned() == set()


def test_a_constant_in_one_objective(finished: Project):
    finished.edit("src/dmix/objectives/decoupled.py", "TINY_LAM = 1e-3", "TINY_LAM = 2e-3")
    assert finished.planned() == cells("mixup", "dm_ce") | cells("cutmix", "dm_ce")


def test_the_engine_is_everybodys(finished: Project):
    finished.edit("src/dmix/engine/trainer.py", "CHECK_EVERY = 50", "CHECK_EVERY = 49")
    assert len(finished.planned()) == 15


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("src/dmix/grid/cost.py", "STATES = 3", "STATES = 4"),
        ("src/dmix/lock.py", "POLL_SECONDS = 0.5", "POLL_SECONDS = 2.0"),
        ("workflows/rules/train.smk", ' >>{log} 2>&1"', '   >>{log} 2>&1"'),
        ("params.yaml", "    title: CIFAR-10\n", "    title: CIFAR-ten\n"),
        ("params.yaml", "estimate_seconds: 2\n", "estimate_seconds: 3\n"),
    ],
)
def test_what_cannot_change_a_number_trains_nothing(trained, tmp_path, file, old, new):
    shutil.copytree(trained.path, tmp_path / "project", symlinks=True)
    project = Project(tmp_path / "project")
    project.edit(file, old, new)
    assert project.planned() == set()


def test_going_back_publishes_the_earlier_table_again(trained, tmp_path):
    """The earlier table is rendered already; its plain name must follow, not keep the later one."""
    shutil.copytree(trained.path, tmp_path / "project", symlinks=True)
    project = Project(tmp_path / "project")
    published = project.path / "paper_tables/smoke/table1.tex"
    first = published.read_bytes()
    title = "title: Top-1 accuracy (%) of small-scale image classification based on ResNet variants"
    for old, new in ((title, f"{title} again"), (f"{title} again", title)):
        project.edit("params.yaml", old, new)
        done = project.snakemake("--quiet", "all")
        assert done.returncode == 0, done.stdout + done.stderr
        assert (published.read_bytes() == first) is (new == title)
    assert "Nothing to be done" in project.snakemake("-n").stdout


def test_a_queued_job_whose_digest_is_gone_names_it(trained, tmp_path):
    """On a node Snakemake is started for the old path; params.yaml has moved on since."""
    shutil.copytree(trained.path, tmp_path / "project", symlinks=True)
    project = Project(tmp_path / "project")
    name = "supervised/cifar10/resnet18/cutmix/dm_ce/s0"
    target = f"results/smoke/records/{project.folder(name)}/record.json"
    project.edit("params.yaml", DM_CE, DM_CE.replace("0.1", "0.99"))
    done = project.snakemake("--forcerun", "train", target)
    assert done.returncode != 0
    assert "no run has these digests" in done.stdout + done.stderr


def test_one_failure_stops_no_other_run(trained, tmp_path, embedded_data):
    project = Project.create(tmp_path / "project", embedded_data)
    exploding = "{recipe.lr: 1000, recipe.weight_decay: 1000}"
    rule = f"{{when: {{policy: cutmix, dataset: cifar10}}, set: {exploding}, why: test}}"
    project.edit("params.yaml", NO_RULES, f"overrides: [{rule}] # ordered")
    table = "results/smoke/frame.csv"
    done = project.snakemake(table, "--quiet", "rules")
    assert done.returncode != 0
    status = json.loads(project.dmix("status", "--tier", "smoke", "--json").stdout)["tables"]
    states = {name: s["state"] for rows in status.values() for name, s in rows.items()}
    failed = {name for name, state in states.items() if state == "failed"}
    details = {s["detail"] for rows in status.values() for s in rows.values() if s["state"] == "failed"}
    assert all("the loss is not finite at step " in detail for detail in details)
    assert failed == {f"supervised/cifar10/resnet18/cutmix/{o}/s0" for o in ("mce", "dm_ce")}
    assert sum(state == "done" for state in states.values()) == 13
    shown = project.dmix("table", "tableS1", "--tier", "smoke")
    assert shown.returncode == 0
    assert "2 cells without a record: CutMix" in shown.stdout
