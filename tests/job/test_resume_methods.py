"""Every method of Tables 6, 7 and 8, as its run is made: stopped and continued, it ends bit-identical."""

from __future__ import annotations

import os
import random
import time

import pytest
import torch

from dmix.class_relation_record import read_relation
from dmix.data.loading.feed import ReadOptions
from dmix.engine.assemble import Given, assemble
from dmix.engine.device import choose_device
from dmix.engine.parts import load_dataset
from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.grid.paths import DATA, RunPaths
from dmix.job import checkpoint
from dmix.job.class_relation import relate
from dmix.job.given import relation_of, weights_of
from dmix.job.options import Options
from dmix.job.train import train
from dmix.record import Record, read_record
from paper import paper
from project import ROOT, real_grid
from small_runs import differences

SOURCES = [f"supervised/imagenet/{backbone}/vanilla/ce/s0" for backbone in ("resnet18", "resnet50")]
RELATION = "relation/cub/resnet50/percent=15/s0"
METHODS = real_grid("smoke")
NAMES = [
    name
    for table in ("table6", "table7", "table8")
    for name in METHODS.table_runs(METHODS.tables[table])
    if ("/cub/" in name and "/percent=15/" in name) or ("/cifar10/" in name and "/count=20/" in name)
]
# What a method keeps that is no parameter: it must be in the state, and move.
KEPT = {
    "self_tuning": ("queue.slots", "queue.pointers", "key.1.weight"),
    "co_tuning": ("relationship",),
    "remixmatch": ("predicted",),
}


@pytest.fixture(scope="module")
def grid(tmp_path_factory, embedded_data):
    """The smoke tier, in a folder of its own in which sources are trained and the relationship is learned."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("methods")
        patch.chdir(folder)
        (folder / "data").symlink_to(embedded_data)
        (folder / "reference").symlink_to(ROOT / "reference")
        found = load_grid("smoke", ROOT / "params.yaml")
        for source in SOURCES:
            assert train(found, source, Options("cpu")) == 0
        assert relate(found, RELATION, Options("cpu")) == 0
        yield found


def trainer(grid, name, read_options=ReadOptions()):  # noqa: B008 - frozen
    spec = grid.runs[name]
    given = Given(weights_of(grid, spec), relation_of(grid, spec))
    return assemble(spec, load_dataset(spec, DATA), choose_device("cpu"), read_options, given)


def test_every_row_of_the_papers_tables_is_here():
    assert len(paper("smoke").runs.keys() & set(NAMES)) == 8 + 10 + 7


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_stopped_and_continued_otherwise_it_ends_bit_identical(name, grid, tmp_path):
    """Continued with images read by other processes and from where they are kept."""
    whole = trainer(grid, name)
    start = {key: value.clone() for key, value in whole.method.state_dict().items()}
    assert whole.run(lambda _: True)
    assert whole.step == whole.history[-1]["step"] == whole.total
    seed = int(os.environ.get("DMIX_TEST_SEED", time.time_ns() % 2**32))
    stop = random.Random(seed).randrange(1, whole.total)
    print(f"DMIX_TEST_SEED={seed} stops at step {stop} of {whole.total}")
    first = trainer(grid, name)
    assert not first.run(lambda one: one.step < stop)
    checkpoint.save(tmp_path / "checkpoint.pt", {"trainer": first.state_dict()})
    state = checkpoint.load(tmp_path / "checkpoint.pt", torch.device("cpu"))
    second = trainer(grid, name, ReadOptions(2, tmp_path / "cache"))
    second.load_state_dict(state["trainer"])
    assert second.step == stop
    assert second.run(lambda _: True)
    assert differences(whole.state_dict(), second.state_dict()) == []
    assert differences(whole.state_dict(), first.state_dict()) != []
    assert second.history == whole.history
    for key in KEPT.get(grid.runs[name].axes["method"], ()):
        moved = not torch.equal(whole.method.state_dict()[key], start[key])
        assert moved == (key != "relationship"), key


def test_a_record_says_which_images_had_labels_and_what_the_run_was_taught(grid):
    name = next(name for name in NAMES if "/co_tuning/" in name)
    assert train(grid, name, Options("cpu")) == 0
    paths = RunPaths(grid.tier, grid.folders[name])
    record = read_record(paths.record)
    assert (record.labels.labelled, record.labels.unlabelled) == (60, 240)
    assert paths.labelled.read_text().count("\n") == 60
    assert record.relation_sha256
    assert record.primary == "clean"
    assert list(record.scores) == ["clean", "clean_centre"]
    assert record.score == max(record.scores["clean"].best, 0)
    assert record.evaluations == (1, 2, 5)


def test_averaged_parameters_are_what_is_read_and_kept(grid):
    """Weights of the file give the last reading again."""
    import safetensors.torch

    from dmix.engine.distributed import here
    from dmix.engine.evaluate import top1

    name = next(name for name in NAMES if "/fixmatch/" in name and "/mixup/dm_ce/" in name)
    assert train(grid, name, Options("cpu")) == 0
    paths = RunPaths(grid.tier, grid.folders[name])
    record = read_record(paths.record)
    assert record.labels.unlabelled == 1000
    assert list(record.scores) == ["clean", "mixed"]
    assert record.scores["clean"].median_last20 is not None
    fresh = trainer(grid, name)
    fresh.method.load_state_dict(safetensors.torch.load_file(paths.weights))
    found = top1(fresh.method, fresh.test, here())
    assert record.evaluations[-1] == fresh.total
    assert found == {predictor: scores.last for predictor, scores in record.scores.items()}


def test_a_run_without_its_relationship_says_what_to_do(grid, tmp_path, monkeypatch):
    name = next(name for name in NAMES if "/co_tuning/" in name)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DmixError, match="was not learned yet") as caught:
        relation_of(grid, grid.runs[name])
    assert caught.value.way_out == f"run: dmix relate {RELATION} --tier smoke"


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("labelled_sha256", "labelled images"),
        ("init_sha256", "start weights"),
        ("data_fingerprint", "data"),
    ],
)
def test_a_relationship_that_is_not_the_runs_own_is_refused(grid, key, what):
    name = next(name for name in NAMES if "/co_tuning/" in name and "/mixup/dm_ce/" in name)
    path = relation_of(grid, grid.runs[name]).with_name("relation.json")
    text = path.read_text()
    read_relation(path).model_copy(update={key: "0000"}).write(path)
    try:
        with pytest.raises(DmixError, match=f"has other {what} than this run"):
            train(grid, name, Options("cpu"))
    finally:
        path.write_text(text)


def test_a_finished_run_with_a_list_of_labels_gives_back_a_deleted_record(grid):
    """Snakemake deletes declared outputs before it starts a job again."""
    name = next(name for name in NAMES if name.startswith("semi/supervised_only/"))
    assert train(grid, name, Options("cpu")) == 0
    paths = RunPaths("smoke", grid.folders[name])
    before = {path.name: path.read_bytes() for path in paths.results.iterdir()}
    trained = paths.weights.stat().st_mtime_ns
    assert not paths.checkpoint.exists()
    paths.record.unlink()
    paths.history.unlink()
    assert train(grid, name, Options("cpu")) == 0
    assert {path.name: path.read_bytes() for path in paths.results.iterdir()} == before
    assert paths.weights.stat().st_mtime_ns == trained


def test_a_job_that_is_killed_before_its_record_leaves_no_checkpoint(grid, monkeypatch):
    name = next(name for name in NAMES if name.startswith("semi/pseudo_label/"))
    paths = RunPaths("smoke", grid.folders[name])
    write = Record.write

    def killed(record, path):
        if path == paths.record:
            raise KeyboardInterrupt
        write(record, path)

    monkeypatch.setattr(Record, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        train(grid, name, Options("cpu", checkpoint_seconds=0))
    assert not paths.record.exists()
    assert not paths.checkpoint.exists()
    monkeypatch.setattr(Record, "write", write)
    trained = paths.weights.stat().st_mtime_ns
    assert train(grid, name, Options("cpu")) == 0
    assert paths.record.exists()
    assert paths.weights.stat().st_mtime_ns == trained
