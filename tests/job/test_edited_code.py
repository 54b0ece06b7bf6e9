"""Code that is edited at any moment of a job: the record is right, or there is none."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dmix.holder import me
from project import Project

pytestmark = pytest.mark.slow
NAME = "supervised/cifar10/resnet18/cutmix/mce/s0"
DRAW = "src/dmix/policies/draw.py"
OLD, NEW = "rng.beta(alpha, alpha, size=count)", "rng.beta(alpha + 1, alpha, size=count)"
MOMENTS = 10


def records(project: Project) -> list[dict]:
    return [json.loads(path.read_text()) for path in (project.path / "results").rglob("record.json")]


def train(project: Project) -> dict:
    done = project.dmix("train", NAME, "--tier", "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = records(project)
    return record


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory, embedded_data: Path) -> tuple[dict[str, str], float]:
    """Digest of the code -> digest of the weights, for the old code and for the new; and a job's seconds."""
    found, seconds = {}, 0.0
    for text in (OLD, NEW):
        project = Project.create(tmp_path_factory.mktemp("right") / "project", embedded_data)
        project.edit(DRAW, OLD, text)
        started = time.monotonic()
        record = train(project)
        seconds = time.monotonic() - started
        found[record["code_digest"]] = record["weights_sha256"]
    assert len(set(found)) == len(set(found.values())) == 2
    return found, seconds


def test_at_ten_moments(right, tmp_path, embedded_data):
    digests, seconds = right

    def edited_at(moment: int) -> tuple[int, str, list[dict]]:
        project = Project.create(tmp_path / f"project{moment}", embedded_data)
        job = project.start("dmix", "train", NAME, "--tier", "smoke")
        time.sleep(seconds * moment / MOMENTS)
        project.edit(DRAW, OLD, NEW)
        said, _ = job.communicate(timeout=300)
        return job.returncode, said, records(project)

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(edited_at, range(MOMENTS)))
    for status, said, found in outcomes:
        assert status == (0 if found else 1), said
        for record in found:
            assert digests[record["code_digest"]] == record["weights_sha256"]
        if not found:
            assert "its code was edited while this job was starting: dmix.policies.draw" in said
            assert "start the workflow again" in said
    assert any(found for _, _, found in outcomes)


def test_while_a_job_waits_for_another_one(project):
    """The code is hashed when a job starts, and imported once the other job has left."""
    folder = project.path / "work/smoke" / project.folder(NAME, "smoke")
    folder.mkdir(parents=True)
    (folder / "lock").write_text(me().text)
    job = project.start("dmix", "train", NAME, "--tier", "smoke")
    assert job.stdout is not None
    assert "waiting: process" in job.stdout.readline()
    project.edit(DRAW, OLD, NEW)
    (folder / "lock").unlink()
    said, _ = job.communicate(timeout=300)
    found = records(project)
    assert job.returncode == (0 if found else 1), said
    assert found or "dmix.policies.draw" in said


def test_an_edit_without_meaning_stops_nothing(project, right):
    job = project.start("dmix", "train", NAME, "--tier", "smoke")
    time.sleep(right[1] / 3)
    path = project.path / DRAW
    path.write_text("# lam and partners\n" + path.read_text())
    said, _ = job.communicate(timeout=300)
    assert job.returncode == 0, said
    (record,) = records(project)
    assert right[0][record["code_digest"]] == record["weights_sha256"]
