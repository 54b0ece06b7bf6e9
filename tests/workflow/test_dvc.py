"""DVC around the workflow: what it keeps, and that a second checkout needs nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

from dvc_checkouts import alone, checkout, commit, dvc, files, git, output
from halves import clones, join_and_render, train_half, trained
from project import BIN, ROOT, Project

SUMMARY = "results/smoke/summary"
DM_CE = "static: {objective.eta: 0.1, policy.alpha: 0.2}"


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for checkouts whose commands neither read nor write the user's DVC and git settings."""
    return alone(tmp_path, monkeypatch)


def ages(project: Project) -> dict[Path, int]:
    kept = (project.path / "results/smoke" / kind for kind in ("records", "weights"))
    return {path: path.stat().st_mtime_ns for root in kept for path in root.rglob("*") if path.is_file()}


def kept(project: Project) -> dict[str, bytes]:
    """Return the content of what the train stage makes: records and weights."""
    made = (files(project, f"results/smoke/{kind}") for kind in ("records", "weights"))
    return {path: content for of_kind in made for path, content in of_kind.items()}


@pytest.mark.slow
def test_a_second_checkout_pulls_the_records_and_renders_the_same_tables(private: Path):
    first = checkout(private / "first")
    dvc(first, "repro")
    everything = trained(first)
    assert git(first, "status", "--porcelain").split() == ["??", "dvc.lock"]
    assert "up to date" in dvc(first, "repro")
    commit(first)
    dvc(first, "push")

    # What is kept is every file of the runs, and the summary, and nothing else, least of all resume state.
    made, summary = kept(first), files(first, SUMMARY)
    assert set(summary) == {"metrics.json", "scores.csv", "curves.csv"}
    store = files(first, "../dmix-store")
    listings = {name for name in store if name.endswith(".dir")}
    assert len(listings) == 2
    stored = {text for name, text in store.items() if name not in listings}
    assert stored == {*made.values(), *summary.values()}
    assert "work/" not in (first.path / "dvc.lock").read_text()

    # The second checkout has no data, no resume state and no memory of the workflow's.
    git(first, "clone", "--quiet", ".", "../second")
    second = Project(private / "second")
    assert not (second.path / "results/smoke").exists()
    dvc(second, "pull")
    assert kept(second) == made
    assert not (second.path / "data").exists()
    assert second.planned() == set()
    times = ages(second)
    dvc(second, "repro")
    assert ages(second) == times
    assert trained(second) == set()
    tables = files(first, "paper_tables/smoke")
    assert {"table1.tex", "tableS1.tex"} <= set(tables)
    assert files(second, "paper_tables/smoke") == tables
    frame = "results/smoke/frame.csv"
    assert (second.path / frame).read_bytes() == (first.path / frame).read_bytes()
    assert git(second, "status", "--porcelain") == ""  # dvc.lock names the same bytes

    # One eta there: the runs concerned, beside the records that were pulled.
    second.edit("params.yaml", DM_CE, DM_CE.replace("0.1", "0.2"))
    concerned = {name for name in everything if name.endswith("/cutmix/dm_ce/s0")}
    dvc(second, "repro", "tables@smoke")
    assert trained(second) == concerned
    assert 0 < len(concerned) < len(everything)
    assert {path: age for path, age in ages(second).items() if path in times} == times
    before, after = (json.loads(files(each, SUMMARY)["metrics.json"])["score"] for each in (first, second))
    changed = {cell for cell, score in before.items() if after[cell] != score}
    assert set() < changed <= {name.rpartition("/")[0] for name in concerned}
    (told,) = json.loads(dvc(second, "metrics", "diff", "--json")).values()
    assert {key.removeprefix("score.") for key in told} == changed
    (params,) = json.loads(dvc(second, "params", "diff", "--json")).values()
    assert params == {"objectives.dm_ce.by_kind.static.objective.eta": {"old": 0.1, "new": 0.2, "diff": 0.1}}


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A checkout whose smoke tier is recorded, committed and in the store."""
    with pytest.MonkeyPatch.context() as patch:
        path = alone(tmp_path_factory.mktemp("pushed"), patch)
        project = checkout(path / "first")
        dvc(project, "repro")
        commit(project)
        dvc(project, "push")
        yield project


@pytest.fixture
def clone(pushed: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A clone that has pulled nothing."""
    alone(tmp_path, monkeypatch)
    git(pushed, "clone", "--quiet", ".", str(tmp_path / "clone"))
    project = Project(tmp_path / "clone")
    dvc(project, "remote", "modify", "--local", "store", "url", str(pushed.path.parent / "dmix-store"))
    return project


@pytest.mark.slow
def test_records_alone_render_everything_and_train_nothing(pushed: Project, clone: Project):
    dvc(clone, "pull", "results/smoke/records")
    assert files(clone, "results/smoke/records") == files(pushed, "results/smoke/records")
    assert not (clone.path / "results/smoke/weights").exists()
    done = clone.dmix("status", "--tier", "smoke", "--json")
    tables = json.loads(done.stdout)["tables"].values()
    assert {run["state"] for runs in tables for run in runs.values()} == {"done"}
    lock = (clone.path / "dvc.lock").read_bytes()
    dvc(clone, "repro", "--single-item", "tables@smoke", "publish@smoke")
    assert trained(clone) == set()
    assert files(clone, "paper_tables/smoke") == files(pushed, "paper_tables/smoke")
    assert (clone.path / "dvc.lock").read_bytes() == lock
    # The train stage would record that there are no weights: it refuses.
    done = clone.run("dvc", "repro", "--force", "train@smoke")
    assert done.returncode != 0
    assert "are not here" in done.stdout + done.stderr
    assert "dvc pull results/smoke/weights" in done.stdout + done.stderr
    assert (clone.path / "dvc.lock").read_bytes() == lock


@pytest.mark.slow
def test_weights_of_one_cell_and_of_one_table(pushed: Project, clone: Project):
    everything = files(pushed, "results/smoke/weights")
    cell = "supervised/cifar10/resnet18/cutmix/dm_ce"
    dvc(clone, "pull", "results/smoke/records", f"results/smoke/weights/{cell}")
    own = {path: content for path, content in everything.items() if path.startswith(f"{cell}/")}
    assert len(own) == 1
    assert files(clone, "results/smoke/weights") == own
    done = clone.dmix("runs", "--tier", "smoke", "--tables", "tableS1", "--weights")
    folders = done.stdout.split()
    dvc(clone, "pull", *folders)
    listed = {folder.removeprefix("results/smoke/weights/") for folder in folders}
    found = files(clone, "results/smoke/weights")
    assert {str(Path(path).parent) for path in found} == listed | {str(Path(path).parent) for path in own}
    assert found.items() <= everything.items()


@pytest.mark.slow
def test_plots_and_metrics_of_every_cell_are_shown_before_anything_is_pulled(pushed: Project, clone: Project):
    html = Path(dvc(clone, "plots", "show").strip().removeprefix("file://")).read_text()
    metrics = json.loads(files(pushed, SUMMARY)["metrics.json"])
    assert metrics["score"]
    for cell in metrics["score"]:
        assert html.count(cell) > 2  # a bar, and more than one point of a curve
    (shown,) = json.loads(dvc(clone, "metrics", "show", "--json"))[""]["data"].values()
    assert shown["data"] == metrics


@pytest.mark.slow
def test_parameters_edited_while_the_stage_runs_are_not_recorded(private: Path):
    project = checkout(private / "project")
    # The edit comes after the last run and before the stage ends, when DVC takes the hash of params.yaml.
    params = (project.path / "params.yaml").read_text()
    (project.path / "edited.yaml").write_text(params.replace(DM_CE, DM_CE.replace("0.1", "0.2")))
    edit = "        - cp edited.yaml params.yaml"
    check = "        - ${here} dmix plan --check"
    project.edit("dvc.yaml", check, f"{edit}\n{check}")
    done = project.run("dvc", "repro", "train@smoke", timeout=900)
    assert done.returncode != 0
    concerned = {name for name in trained(project) if name.endswith("/cutmix/dm_ce/s0")}
    assert f"{len(concerned)} runs that tier smoke asks for now are not done" in done.stdout + done.stderr
    assert "train@smoke" not in (project.path / "dvc.lock").read_text()
    project.edit("dvc.yaml", f"{edit}\n", "")
    dvc(project, "repro", "train@smoke")
    locked = yaml.safe_load((project.path / "dvc.lock").read_text())["stages"]["train@smoke"]
    made = {dep["path"]: dep["md5"] for dep in locked["deps"]}
    assert made["params.yaml"] == hashlib.md5((project.path / "params.yaml").read_bytes()).hexdigest()
    assert project.planned() == set()


@pytest.mark.slow
def test_a_stage_finds_its_commands_without_activation(private: Path):
    project = checkout(private / "project")
    (project.path / ".venv").mkdir()
    (project.path / ".venv/bin").symlink_to(BIN)
    environment = {**project.environment, "PATH": os.defpath}
    assert shutil.which("dmix", path=os.defpath) is None
    done = subprocess.run(
        [".venv/bin/dvc", "repro", "data"], cwd=project.path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project.path / "data/embedded").is_dir()


@pytest.mark.slow
def test_two_clones_train_half_each_join_and_render_the_same_bytes(private: Path):
    first, second = clones(checkout(private / "first"), private / "second")
    train_half(first, "smoke", ["cifar10"])
    train_half(second, "smoke", ["cifar100"])
    join_and_render(first, second, private / "third", "smoke")


@pytest.mark.slow
def test_finished_runs_are_recorded_while_others_are_trained(private: Path):
    project = checkout(private / "project")
    driver = project.start(
        *("snakemake", "runs", "--profile", "workflows/profiles/local", "--quiet", "rules"),
        *("--config", "tier=smoke"),
    )
    records = project.path / "results/smoke/records"
    try:
        while len(list(records.rglob("record.json"))) < 2 and driver.poll() is None:
            time.sleep(0.2)
        assert driver.poll() is None
        dvc(project, "commit", "--force", "train@smoke")
        dvc(project, "push")
        some = set(files(project, "../dmix-store"))
    finally:
        said, _ = driver.communicate(timeout=900)
    assert driver.returncode == 0, said
    assert some
    assert project.dmix("plan", "--check", "--tier", "smoke").returncode == 0
    dvc(project, "commit", "--force", "train@smoke")
    dvc(project, "push")
    store = files(project, "../dmix-store")
    assert some < set(store)
    assert set(kept(project).values()) <= set(store.values())


@pytest.mark.slow
def test_the_workflow_stores_what_is_finished_after_each_table(private: Path):
    project = checkout(private / "project")
    workflow = ("snakemake", "stored", "--profile", "workflows/profiles/local", "--config", "tier=smoke")
    output(project.run(*workflow, timeout=900))
    lock = yaml.safe_load((project.path / "dvc.lock").read_text())
    assert {out["path"] for out in lock["stages"]["train@smoke"]["outs"]} == {
        f"results/smoke/{kind}" for kind in ("records", "weights")
    }
    store = files(project, "../dmix-store")
    assert set(kept(project).values()) <= set(store.values())
    assert "Nothing to be done" in project.run(*workflow).stderr


def outs() -> Iterator[tuple[str, str, dict[str, bool]]]:
    """Stage, path and options of each out, metric and plot of dvc.yaml."""
    for name, entry in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items():
        stage = entry.get("do", entry)
        for out in (*stage["outs"], *stage.get("metrics", ()), *stage.get("plots", ())):
            for path, options in out.items():
                yield name, path, options


def test_no_stage_deletes_what_it_finds():
    assert {(stage, options["persist"]) for stage, _, options in outs()} == {
        (stage, True) for stage in ("data", "train", "tables", "publish")
    }


def test_records_weights_and_the_summary_go_to_the_cache_each_by_itself():
    assert [path for _, path, options in outs() if options.get("cache", True)] == [
        "results/${item}/records",
        "results/${item}/weights",
        "results/${item}/summary/metrics.json",
        "results/${item}/summary/scores.csv",
        "results/${item}/summary/curves.csv",
    ]


def test_no_argument_means_the_embedded_tier():
    assert yaml.safe_load((ROOT / "dvc.yaml").read_text())["vars"][0]["keep"] == ["embedded"]


def test_the_committed_store_is_a_folder_beside_the_checkout():
    config = ConfigParser()
    config.read_string((ROOT / ".dvc/config").read_text())
    assert config["core"]["remote"] == "store"
    assert config["core"].getboolean("analytics") is False
    url = config["'remote \"store\"'"]["url"]
    assert (ROOT / ".dvc" / url).resolve().parent == ROOT.parent
    copied = {kind.strip('" ') for kind in config["cache"]["type"].split(",")}
    assert copied <= {"reflink", "copy"}  # a link would let a job write through into the cache
