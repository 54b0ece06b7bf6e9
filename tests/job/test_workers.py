"""How images on disk are read changes no number, and what is damaged is named."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from dmix.data.sets import marker
from dmix.record import Record, read_record
from project import Project
from streamed import DEPENDANTS, SOURCE, create, rule, streamed

DEPENDANT = min(DEPENDANTS)
FOLDERS = {SOURCE: "imagenet", DEPENDANT: "CUB_200_2011"}
TRAIN = ("--tier", "smoke", "--device", "cpu")
# Forked from a helper with torch imported: the record is that of a process of its own (test_preload.py).
FORKED = (*TRAIN, "--preload", "--workers")
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Trained:
    """The run on ImageNet and one on CUB that starts from it, read by the training process alone."""

    project: Project
    folders: dict[str, str]
    records: dict[str, Record]

    def beside(self, path: Path, *untrained: str) -> Project:
        """Copy all but the source code, which is shared, and the named runs."""
        ignored = shutil.ignore_patterns("src", "work")
        shutil.copytree(self.project.path, path, symlinks=True, ignore=ignored)
        (path / "src").symlink_to(self.project.path / "src")
        for name in untrained:
            shutil.rmtree(path / "results/smoke/records" / self.folders[name])
        return Project(path)

    def file(self, project: Project, name: str, product: str) -> Path:
        kind = "weights" if product.startswith("weights") else "records"
        return project.path / "results/smoke" / kind / self.folders[name] / product

    def assert_same(self, project: Project, name: str) -> None:
        """The numbers of a run are those of the first time."""
        record = read_record(self.file(project, name, "record.json"))
        for field in ("weights_sha256", "scores", "init_sha256", "data_fingerprint"):
            assert getattr(record, field) == getattr(self.records[name], field), field
        histories = [self.file(where, name, "history.csv").read_text() for where in (project, self.project)]
        assert histories[0] == histories[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, embedded_data) -> Trained:
    params = streamed()
    longer = {"recipe.batch_size": 12, "recipe.epochs": 2}
    params["tiers"]["smoke"]["overrides"].append(rule({"dataset": "imagenet"}, longer))
    project = create(tmp_path_factory.mktemp("workers") / "project", embedded_data, params)
    for name in FOLDERS:
        train(project, name, "0")
    folders = {name: project.folder(name) for name in FOLDERS}
    files = {name: project.path / "results/smoke/records" / folders[name] / "record.json" for name in FOLDERS}
    return Trained(project, folders, {name: read_record(file) for name, file in files.items()})


def train(project: Project, name: str, workers: str) -> None:
    done = project.dmix("train", name, *FORKED, workers)
    assert done.returncode == 0, done.stdout + done.stderr


def kept_images(project: Project) -> dict[str, int]:
    """The files of resized images, and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in (project.path / "data/cache").glob("*.bin")}


def refused(project: Project, name: str) -> str:
    """Return the one message with which the run fails; nothing of it is left."""
    before = kept_images(project)
    done = project.dmix("train", name, *FORKED, "2")
    assert done.returncode != 0
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    (failure,) = project.path.glob("work/**/failure.txt")
    assert failure.read_text().startswith(done.stderr.removeprefix("dmix: ").rstrip())
    assert not list(project.path.glob(f"results/smoke/records/{name}-*/*"))
    assert not list(project.path.rglob("*.part"))
    assert not list(project.path.glob("work/**/lock"))
    assert kept_images(project) == before
    return done.stderr


@pytest.mark.parametrize(("workers", "kept"), [("2", True), ("2", False), ("0", True)])
def test_neither_workers_nor_kept_images_change_a_number(trained, tmp_path, workers, kept):
    project = trained.beside(tmp_path / "project", *FOLDERS)
    before = kept_images(project)
    assert len(before) == 2  # the splits of CUB; of ImageNet, nothing is kept
    if not kept:
        shutil.rmtree(project.path / "data/cache")
    for name in FOLDERS:
        train(project, name, workers)
        trained.assert_same(project, name)
    assert kept_images(project).keys() == before.keys()
    assert (kept_images(project) == before) is kept


def test_a_signal_to_workers_too_stops_the_run_which_continues_without_them(trained, tmp_path):
    project = trained.beside(tmp_path / "project", SOURCE)
    process = subprocess.Popen(
        ("dmix", "train", SOURCE, *TRAIN, "--workers", "2", "--checkpoint-seconds", "0"),
        cwd=project.path,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    checkpoint = project.path / "work/smoke" / trained.folders[SOURCE] / "checkpoint.pt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 75, output
    assert output.count("\n") == 1
    assert "SIGTERM: stopped at step" in output
    train(project, SOURCE, "0")
    trained.assert_same(project, SOURCE)
    assert read_record(trained.file(project, SOURCE, "record.json")).resumes == 1


@pytest.mark.parametrize("name", FOLDERS)
def test_a_damaged_image_is_named(trained, tmp_path, name):
    """Of ImageNet it is met in a step, of CUB when images are resized."""
    project = trained.beside(tmp_path / "project", name)
    edition = project.path / "data/embedded" / FOLDERS[name]
    shared = edition.readlink()
    edition.unlink()
    shutil.copytree(shared, edition)
    image = sorted(edition.glob("train/*/*.JPEG") if name == SOURCE else edition.rglob("*_0001_*.jpg"))[7]
    image.write_bytes(image.read_bytes()[:200])
    found = marker.read(edition)
    (edition / marker.NAME).unlink()
    marker.write(edition, found.source, found.version, found.train, found.test, found.classes)
    lines = refused(project, name).splitlines()
    assert lines[0].startswith(f"dmix: the image {image.relative_to(edition)} is damaged: ")
    assert len(lines) == 2
    shutil.rmtree(edition)
    edition.symlink_to(shared)
    train(project, name, "2")
    trained.assert_same(project, name)


def test_damaged_weights_to_start_from_are_named(trained, tmp_path):
    project = trained.beside(tmp_path / "project", DEPENDANT)
    weights = trained.file(project, SOURCE, "weights.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    bad = f"dmix: {DEPENDANT} starts from the weights of {SOURCE}, which is damaged: weights.safetensors "
    assert refused(project, DEPENDANT).splitlines()[0].startswith(f"{bad}was cut or edited")
    weights.unlink()
    assert refused(project, DEPENDANT).splitlines()[0].startswith(f"{bad}cannot be read")
    weights.parent.rmdir()  # as after pulling records alone
    said = refused(project, DEPENDANT)
    assert said.startswith(f"dmix: {DEPENDANT} is blocked: ")
    assert f"dvc pull {weights.parent.relative_to(project.path)}" in said
    weights.parent.mkdir()
    weights.write_bytes(whole)
    train(project, DEPENDANT, "2")
    trained.assert_same(project, DEPENDANT)
