"""`dmix accept`: an edit that changes no bit makes nothing train again, one that does is refused."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from project import ROOT, Project

pytestmark = pytest.mark.slow
TRAINER = "src/dmix/engine/trainer.py"
SHARDS = "src/dmix/engine/shards.py"
SUM = "torch.stack(tuple(losses.values())).sum()"
SAME_SUM = "torch.stack(list(losses.values())).sum()"
RATE = 'group["lr"] = self._rate(self.step, own.settings)'


def git(project: Project, *arguments: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=project.path, check=True, capture_output=True)


def commit(project: Project) -> None:
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "an edit")


def done(project: Project) -> int:
    """Return how many runs of the smoke tier are done."""
    states = json.loads(project.dmix("plan", "--tier", "smoke", "--json").stdout)["tables"]
    return next(line["done"] for line in states if line["table"] == "all")


def equivalent(project: Project) -> list[dict[str, str]]:
    with (project.path / "reference/equivalent.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def checkout(trained: Project, tmp_path: Path) -> Project:
    """A git checkout of a project whose smoke tier is finished."""
    shutil.copytree(trained.path, tmp_path / "project", symlinks=True)
    project = Project(tmp_path / "project")
    shutil.copy(ROOT / ".gitignore", project.path)
    git(project, "init", "-q")
    commit(project)
    return project


def test_equal_edits_are_accepted_and_chain(checkout, tmp_path):
    finished = done(checkout)
    assert finished > 0

    # The trainer, on which every run depends: all are stale until it is accepted.
    checkout.edit(SHARDS, SUM, SAME_SUM)
    assert done(checkout) == 0
    accepted = checkout.dmix("accept", "--because", "a list does as well")
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    assert "stopped after step" in accepted.stdout
    assert "what a GPU computes cannot be replayed bit for bit" in accepted.stdout
    assert [line["part"] for line in equivalent(checkout)] == ["engine"]
    assert done(checkout) == finished
    plan = checkout.dmix("plan", "--tier", "smoke", "--why").stdout
    assert (
        f"{finished} done by older code that dmix accept has shown to be equal: a list does as well" in plan
    )
    commit(checkout)

    # A module that is moved and a part with another name, on top of the first edit.
    policies = checkout.path / "src/dmix/policies"
    (policies / "box.py").rename(policies / "boxes.py")
    for module in policies.glob("*.py"):
        module.write_text(module.read_text().replace("dmix.policies.box ", "dmix.policies.boxes "))
    (policies / "cutmix.py").rename(policies / "cut_mix.py")
    for module in policies.glob("*.py"):
        module.write_text(module.read_text().replace("dmix.policies.cutmix ", "dmix.policies.cut_mix "))
    checkout.edit("params.yaml", "cutmix: {title: CutMix,", "cutmix: {title: CutMix, use: cut_mix,")
    assert 0 < done(checkout) < finished
    accepted = checkout.dmix("accept", "--because", "names in full")
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    assert {line["part"] for line in equivalent(checkout)} == {"engine", "policy/cut_mix", "policy.use"}
    assert done(checkout) == finished

    # A clone that has the file and pulled the records, without metadata, data or work folder.
    clone = Project(tmp_path / "clone")
    clone.path.mkdir()
    for name in ("src", "params.yaml", "Snakefile", "workflows", "reference", "results"):
        source = checkout.path / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, clone.path / name)
    assert done(clone) == finished
    assert clone.planned() == set()

    # What is trained from now on stands beside the old records, and says by which code.
    name = "supervised/cifar10/resnet18/cutmix/dm_ce/s0"
    folder = checkout.path / "results/smoke/records" / checkout.folder(name)
    before = json.loads((folder / "record.json").read_text())
    shutil.rmtree(folder)
    shutil.rmtree(checkout.path / "work")
    trained = checkout.dmix("train", name, "--tier", "smoke")
    assert trained.returncode == 0, trained.stderr
    after = json.loads((folder / "record.json").read_text())
    assert after["weights_sha256"] == before["weights_sha256"]
    assert after["code_digest"] == before["code_digest"]
    assert after["code_parts"] != before["code_parts"]
    assert set(after["accepted"]) == {"a list does as well", "names in full"}


@pytest.mark.parametrize(
    ("new", "step"),
    [
        (f"{RATE} * 1.001", 1),
        (f"{RATE} * (1.001 if self.step == 2 else 1)", 3),
    ],
)
def test_an_edit_that_changes_a_number_is_refused(checkout, new, step):
    checkout.edit(TRAINER, RATE, new)
    refused = checkout.dmix("accept", "--because", "it should not matter")
    assert refused.returncode == 1
    assert f": other weights after step {step} of " in refused.stderr
    assert "supervised/cifar" in refused.stderr
    assert not (checkout.path / "reference/equivalent.csv").exists()
    assert done(checkout) == 0


def test_a_state_that_is_not_saved_is_found_by_the_resumed_run(checkout):
    """Every step and product is the same, unless the run is stopped in between."""
    checkout.edit(TRAINER, "stream.load_state_dict(generator)", "pass")
    refused = checkout.dmix("accept", "--because", "it should not matter")
    assert refused.returncode == 1
    assert "and resumed: the " in refused.stderr


def test_nothing_to_accept_and_no_such_commit(checkout):
    same = checkout.dmix("accept", "--because", "nothing")
    assert same.returncode == 0
    assert "there is nothing to accept" in same.stdout
    missing = checkout.dmix("accept", "--since", "nowhere", "--because", "nothing")
    assert missing.returncode == 2
    assert "there is no 'nowhere^{commit}'" in missing.stderr
    shutil.rmtree(checkout.path / ".git")
    outside = checkout.dmix("accept", "--because", "nothing")
    assert outside.returncode == 2
    assert "run dmix accept in a git checkout" in outside.stderr
