"""`dmix gc` and the next start remove what kills leave, and nothing that a run still owns."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from dmix import cli
from dmix.files import sweep
from dmix.grid.expand import load_grid
from dmix.holder import Holder, me
from dmix.lock import held
from job.conftest import NAME
from project import ROOT, Project, small_params

pytestmark = pytest.mark.slow

GONE = "supervised/cifar10/resnet18/gone/mce/s0-00000000-11111111"
KNOWN = "supervised/cifar10/resnet18/mixup/mce/s0"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").write_text(small_params())
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lay(path: Path, text: str = "", age: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def aged(folder: Path) -> Path:
    """Make a folder, with all in it, two hours old."""
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    return folder


def gc(capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    assert cli.main(["gc", *options]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_live_run_is_never_deleted(here, capsys):
    results = lay(here / f"results/embedded/records/{GONE}/history.csv").parent
    work = here / "work/embedded" / GONE
    with held(work / "lock", print):
        said = gc(capsys, "--delete", "--stopped")
        assert said == [
            f"in use results/embedded/records/{GONE}: {me()} holds it",
            f"in use work/embedded/{GONE}: {me()} holds it",
        ]
        assert results.exists()
        assert (work / "lock").exists()
    assert gc(capsys, "--delete") == [
        f"deleted results/embedded/records/{GONE}",
        f"deleted work/embedded/{GONE}",
    ]
    assert not results.exists()


def test_a_run_on_another_host_is_in_use_while_its_heart_beats(here, capsys):
    lock = lay(here / "work/embedded" / GONE / "lock", Holder("elsewhere", 7).text)
    assert gc(capsys, "--delete") == [f"in use work/embedded/{GONE}: process 7 on elsewhere holds it"]
    lay(lock, lock.read_text(), age=1000)
    assert gc(capsys, "--delete") == [f"deleted work/embedded/{GONE}"]


def test_a_stopped_run_is_deleted_only_when_told(here, capsys):
    state = lay(here / "work/embedded" / GONE / "checkpoint.pt")
    assert gc(capsys) == [f"stopped work/embedded/{GONE}"]
    (said,) = gc(capsys, "--delete")
    assert said.startswith(f"kept work/embedded/{GONE}: ")
    assert said.endswith("dmix gc --delete --stopped")
    assert state.exists()
    assert gc(capsys, "--delete", "--stopped") == [f"deleted work/embedded/{GONE}"]
    assert not state.parent.exists()


def test_debris_is_listed_and_deleted_and_nothing_else(here, capsys):
    folder = load_grid("embedded").folders[KNOWN]
    work, results = here / "work/embedded" / folder, here / "results/embedded/records" / folder
    debris = [
        lay(results / ".record.json.0123abcd.part"),
        lay(work / ".checkpoint.pt.0123abcd.part"),
        lay(work / ".lock.0123abcd.part", age=1000),
        lay(work / "progress.part"),
        lay(work / "finished/.history.csv.0123abcd.part"),
        lay(work / "lock", Holder("elsewhere", 7).text, age=1000),
        lay(here / "results/embedded/.frame.csv.0123abcd.part", age=10_000),
        lay(here / "paper_tables/embedded/.table1.tex.0123abcd.part", age=10_000),
        lay(here / "data/cache/.bilinear-12-0.bin.0123abcd.part", age=10_000),
        aged(lay(here / "results/embedded/export/.dmix-embedded.0123abcd.part/records/a").parents[1]),
        lay(here / "data/real/.cub.part/real/CUB_200_2011/images.txt").parents[2],
        lay(here / "data/embedded/.cifar.part/marker.json").parent,
    ]
    kept = [
        lay(work / "checkpoint.pt"),
        lay(work / "log.txt"),
        lay(results / "record.json"),
        lay(work / ".lock.4567abcd.part"),
        lay(here / "data/cache/.bicubic-12-0.bin.0123abcd.part"),
        lay(here / "results/embedded/export/.dmix-embedded.4567abcd.part/records/a").parents[1],
        lay(
            here / "data/downloads/.CUB_200_2011.tgz.0123abcd.part", age=10_000
        ),  # resume state of a download
    ]
    names = sorted(str(path.relative_to(here)) for path in debris)
    assert sorted(gc(capsys)) == [f"debris {name}" for name in names]
    assert all(path.exists() for path in debris)
    assert sorted(gc(capsys, "--delete")) == [f"deleted {name}" for name in names]
    assert not [path for path in debris if path.exists()]
    assert all(path.exists() for path in kept)


def test_debris_of_what_is_being_made_stays(here, capsys):
    draft = lay(here / "data/real/.cub.part/file").parent
    with held(here / "data/downloads/.cub.lock", print):
        assert gc(capsys, "--delete") == [f"in use data/real/.cub.part: {me()} holds it"]
        assert draft.exists()
    assert gc(capsys, "--delete") == ["deleted data/real/.cub.part"]


def test_a_sweep_leaves_the_files_of_those_who_wait(tmp_path):
    waiting = lay(tmp_path / ".lock.0123abcd.part")
    probe = lay(tmp_path / ".clock.0123abcd.part")
    lay(tmp_path / ".weights.safetensors.0123abcd.part")
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == [probe, waiting]
    for path in (waiting, probe):
        lay(path, age=1000)
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_removes_what_a_dead_process_was_about_to_lock_with(tmp_path):
    mine, dead = tmp_path / ".lock.00000001.part", tmp_path / ".lock.00000002.part"
    mine.write_text(me().text)
    gone = subprocess.Popen(["true"])
    gone.wait()
    dead.write_text(dataclasses.replace(me(), pid=gone.pid, born="").text)
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [mine]


def test_the_next_start_sweeps(project: Project):
    folder = project.folder(NAME)
    left = [
        lay(project.path / place / folder / ".x.0123abcd.part")
        for place in ("work/smoke", "results/smoke/records", "work/smoke/")
    ]
    left.append(lay(project.path / "work/smoke" / folder / "finished/.y.0123abcd.part"))
    lay(project.path / "work/smoke" / folder / "lock")  # a kill of the whole machine leaves it empty
    lay(project.path / "work/smoke" / folder / "lock", age=1000)
    done = project.dmix("train", NAME, "--tier", "smoke")
    assert done.returncode == 0, done.stderr
    assert not list(project.path.glob("*/smoke/**/*.part"))
    assert not (project.path / "work/smoke" / folder / "lock").exists()


def test_dvc_ignores_files_in_the_making(tmp_path):
    shutil.copy(ROOT / ".dvcignore", tmp_path)
    project = Project(tmp_path)
    assert project.run("dvc", "init", "--no-scm", "-q").returncode == 0
    part = "results/embedded/records/x/.record.json.0123abcd.part"
    lay(tmp_path / part)
    assert project.run("dvc", "check-ignore", part).stdout.strip() == part
    assert project.run("dvc", "check-ignore", "results/embedded/records/x/record.json").stdout == ""
