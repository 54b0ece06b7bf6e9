"""What a person can get wrong: one message that names the thing and the way out, and no partial record."""

from __future__ import annotations

import json
import shutil

import pytest

from job.conftest import NAME
from project import Project

pytestmark = pytest.mark.slow

TRAIN = ("train", NAME, "--tier", "smoke", "--device", "cpu")


def assert_refused(project: Project, message: str, code: int, *arguments: str) -> str:
    done = project.dmix(*(arguments or TRAIN))
    assert done.returncode == code, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(project.path.glob("results/**/*.json"))
    assert not list(project.path.glob("results/**/*.part"))
    return done.stderr


def own_data(project: Project):
    """Replace the shared data by a copy that may be damaged."""
    shared = (project.path / "data").resolve()
    (project.path / "data").unlink()
    shutil.copytree(shared, project.path / "data")
    return project.path / "data/embedded/cifar-10-batches-py"


def test_missing_data_set(project: Project):
    (project.path / "data").unlink()
    message = assert_refused(project, "cifar-10-batches-py", 2)
    assert "dmix data embed" in message


def test_missing_genuine_data_set(project: Project):
    arguments = ("train", NAME, "--tier", "full", "--device", "cpu")
    message = assert_refused(project, "is blocked", 2, *arguments)
    assert "run dmix data fetch cifar10" in message


def test_truncated_pickle(project: Project):
    file = own_data(project) / "data_batch_3"
    file.write_bytes(file.read_bytes()[:1000])
    assert_refused(project, "data_batch_3", 2)


def test_wrong_checksum(project: Project):
    file = own_data(project) / "test_batch"
    content = bytearray(file.read_bytes())
    content[5000] ^= 1
    file.write_bytes(content)
    assert "its sha256 is" in assert_refused(project, "test_batch", 2)


@pytest.mark.parametrize("folder", ["results", "work"])
def test_unwritable_folder(project: Project, folder: str):
    # A plain file in the folder's place: unlike permissions, it stops root too.
    (project.path / folder).write_text("")
    done = project.dmix(*TRAIN)
    assert done.returncode == 1
    assert f"cannot write to {folder}" in done.stderr
    assert "writable" in done.stderr
    assert "Traceback" not in done.stderr


def test_full_disk_leaves_nothing_half_written(monkeypatch, tmp_path):
    import errno
    import os

    from dmix.errors import DmixError
    from dmix.files import write_text

    write_text(tmp_path / "record.json", "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("dmix.files.os.fsync", full)
    with pytest.raises(DmixError, match="No space left") as caught:
        write_text(tmp_path / "record.json", "new")
    assert "disk space" in str(caught.value)
    assert (tmp_path / "record.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_a_loss_that_is_not_finite(project: Project):
    project.edit("params.yaml", "    lr: 0.1\n", "    lr: 1000\n")
    project.edit("params.yaml", "    weight_decay: 0.0001\n", "    weight_decay: 1000\n")
    message = assert_refused(project, "the loss is not finite at step", 1)
    assert NAME in message  # names the policy and the objective
    assert "(lr " in message
    status = json.loads(project.dmix("status", "--tier", "smoke", "--json").stdout)
    entry = status["tables"]["tableS1"][NAME]
    assert entry["state"] == "failed"
    assert "not finite" in entry["detail"]


def test_a_policy_that_is_not_written_yet(project: Project):
    arguments = ("train", NAME.replace("cutmix", "ghost"), "--tier", "smoke")
    assert_refused(project, "not yet implemented: it needs dmix/policies/ghost.py", 2, *arguments)


def test_params_edited_while_the_job_waits(project: Project):
    script = (
        "from dmix.grid.expand import load_grid; from dmix.grid.promise import promise; "
        f"print(promise(load_grid('smoke').runs['{NAME}']), end='')"
    )
    promised = project.run("python", "-c", script).stdout
    project.edit(
        "params.yaml",
        "static: {objective.eta: 0.1, policy.alpha: 0.2}",
        "static: {objective.eta: 0.99, policy.alpha: 0.2}",
    )
    message = assert_refused(
        project, "the parameters changed since this job was submitted", 2, *TRAIN, "--promise", promised
    )
    assert "objective.eta: 0.1 -> 0.99" in message


def test_code_edited_while_the_job_waits(project: Project):
    script = (
        "from dmix.grid.expand import load_grid; from dmix.grid.promise import promise; "
        f"print(promise(load_grid('smoke').runs['{NAME}']), end='')"
    )
    promised = project.run("python", "-c", script).stdout
    project.edit("src/dmix/policies/cutmix.py", "labels[b], blend.lam", "labels[b] + 0, blend.lam")
    assert_refused(project, "the code of this run changed", 2, *TRAIN, "--promise", promised)
