"""Every kind of evaluation: done once, the same again, and refused of what is not a finished run's.

The kinds are those in src/dmix/evaluations, so that a new one is tested by itself.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from dmix import cli
from dmix.errors import DmixError
from dmix.evaluation_record import EvaluationRecord, is_of_record
from dmix.export.contents import contents
from dmix.grid.evaluation import EvaluationPaths, evaluation_digest, refusal, runs_of
from dmix.grid.expand import load_grid
from dmix.grid.kinds import ROOM, kinds, read_kind
from dmix.grid.paths import RunPaths, records_folder
from dmix.job import evaluate as job
from dmix.job.evaluation import Evaluation
from dmix.job.garbage import garbage
from dmix.job.options import Options
from dmix.job.train import train
from dmix.reading import SEAL, seal
from dmix.report.frame import load_frame
from mixed_project import CUTMIX, RUN, params
from project import Project

CPU = Options("cpu")
KINDS = tuple(kinds())
OTHER_DATA = "supervised/cifar100/resnet18/cutmix/dm_ce/s0"


@pytest.fixture(scope="module")
def home(tmp_path_factory, embedded_data):
    """A project in which one run is finished."""
    project = Project.create(tmp_path_factory.mktemp("every") / "project", embedded_data, params())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.path)
        assert train(load_grid("smoke"), CUTMIX, CPU) == 0
        yield project


@pytest.fixture
def grid(home, monkeypatch):
    monkeypatch.chdir(home.path)
    return load_grid("smoke")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def name(grid, kind):
    """A finished run that the kind takes."""
    taken = runs_of(grid, kind)
    assert taken, "the small grids have no run that it takes"
    name = CUTMIX if CUTMIX in taken else taken[0]
    assert train(grid, name, CPU) == 0  # returns at once if it is finished
    return name


@pytest.fixture
def fresh(grid, kind, name):
    """Where the result of a run goes that is not evaluated yet."""
    paths = EvaluationPaths("smoke", kind, grid.folders[name])
    paths.product.unlink(missing_ok=True)
    return paths


@pytest.fixture
def done(grid, kind, name):
    """Where the result of an evaluated run is."""
    assert job.evaluate(grid, kind, name, CPU) == 0
    return EvaluationPaths("smoke", kind, grid.folders[name])


def evaluation_of(kind) -> Evaluation:
    return importlib.import_module(f"dmix.{ROOM}.{kind}").EVALUATION


def evaluate(kind, name):
    return cli.main(["evaluate", name, f"--{kind}", "--tier", "smoke", "--device", "cpu"])


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def resealed(**changes):
    """A change of a result that is sealed anew, as by whoever evaluates other weights."""

    def change(content: bytes) -> bytes:
        values = {**json.loads(content), **changes}
        return json.dumps({**values, SEAL: seal(values)}).encode()

    return change


# Done once


def test_a_kind_makes_the_records_of_its_name(kind):
    record = evaluation_of(kind).record
    assert issubclass(record, EvaluationRecord)
    assert record.KIND == kind  # noqa: SIM300


def test_a_finished_run_is_evaluated_once(grid, kind, name, fresh, capfd, monkeypatch):
    assert evaluate(kind, name) == 0
    assert f"{name}: " in capfd.readouterr().out
    place = f"{grid.folders[name]}-{evaluation_digest(kind)}"
    assert fresh.product == Path(f"results/smoke/records/{kind}/{place}/{kind}.json")
    found = evaluation_of(kind).record.read(fresh.product)
    record = json.loads(RunPaths("smoke", grid.folders[name]).record.read_text())
    assert (found.name, found.folder) == (name, grid.folders[name])
    assert found.evaluation == evaluation_digest(kind)
    assert found.weights_sha256 == record["weights_sha256"]
    assert found.data_fingerprint == record["data_fingerprint"]
    written = fresh.product.read_bytes(), fresh.product.stat().st_mtime_ns
    monkeypatch.setattr(job, "_evaluate", None)  # whoever calls it fails
    assert evaluate(kind, name) == 0
    assert (fresh.product.read_bytes(), fresh.product.stat().st_mtime_ns) == written


def test_it_is_the_same_again(grid, kind, name, done):
    record = evaluation_of(kind).record
    costs = {"seconds", "hardware", "record_sha256"}
    first = record.read(done.product)
    done.product.unlink()
    assert job.evaluate(grid, kind, name, CPU) == 0
    assert record.read(done.product).model_dump(exclude=costs) == first.model_dump(exclude=costs)


# Refused: what is no finished run of this sort


def test_an_unfinished_and_an_unknown_run_are_refused(grid, kind, capfd):
    unfinished = RUN.format("mixup", "dm_ce")
    assert evaluate(kind, unfinished) == 1
    assert "is not finished: it has no record" in capfd.readouterr().err
    assert not EvaluationPaths("smoke", kind, grid.folders[unfinished]).product.exists()
    assert evaluate(kind, "supervised/nothing") == 2
    assert "there is no run named" in capfd.readouterr().err


def test_a_run_of_another_sort_is_refused(grid, kind, name):
    for key in kinds()[kind].takes:
        spec = grid.runs[name]
        section, _, setting = key.partition(".")
        if key == "task":
            other = replace(spec, task="other")
        else:
            other = replace(spec, settings={**spec.settings, section: {setting: "other"}})
        assert refusal(kind, spec) is None
        assert key in refusal(kind, other)
        with pytest.raises(DmixError, match=f"cannot be evaluated by --{kind}: it takes runs with {key} "):
            job.evaluate(replace(grid, runs={**grid.runs, name: other}), kind, name, CPU)


# Refused: weights and data that are not those of the record


@pytest.mark.parametrize("change", [flip, lambda content: content[:-8], lambda content: content + b"\0"])
def test_damaged_and_edited_weights_are_refused(grid, kind, name, fresh, change, capfd):
    weights = RunPaths("smoke", grid.folders[name]).weights
    before = weights.read_bytes()
    weights.write_bytes(change(before))
    try:
        assert evaluate(kind, name) == 1
    finally:
        weights.write_bytes(before)
    told = capfd.readouterr().err
    assert f"{weights} was cut or edited: its sha256 is not the one in record.json" in told
    assert not fresh.product.exists()
    assert str(weights) in fresh.failure.read_text()


def test_a_failure_is_forgotten_when_the_run_is_evaluated(kind, name, done):
    done.failure.write_text("error: it was cut or edited\n")
    assert evaluate(kind, name) == 0
    assert not done.failure.exists()


def test_missing_weights_are_named(grid, kind, name, fresh):
    weights = RunPaths("smoke", grid.folders[name]).weights
    hidden = weights.rename(weights.with_suffix(".hidden"))
    try:
        with pytest.raises(DmixError, match=f"cannot read {weights}: No such file"):
            job.evaluate(grid, kind, name, CPU)
    finally:
        hidden.rename(weights)
    assert not fresh.product.exists()


def test_a_damaged_record_is_refused(grid, kind, name, fresh):
    record = RunPaths("smoke", grid.folders[name]).record
    before = record.read_bytes()
    record.write_bytes(before.replace(b'"resumes": 0', b'"resumes": 1'))
    try:
        with pytest.raises(DmixError, match=f"{record} is not valid: it was edited"):
            job.evaluate(grid, kind, name, CPU)
    finally:
        record.write_bytes(before)
    assert not fresh.product.exists()


def test_other_data_than_those_of_the_run_are_refused(grid, kind, name, fresh, monkeypatch):
    load = job.load_dataset
    monkeypatch.setattr(job, "load_dataset", lambda spec, root: load(grid.runs[OTHER_DATA], root))
    with pytest.raises(DmixError, match="was trained and tested on other data"):
        job.evaluate(grid, kind, name, CPU)
    assert not fresh.product.exists()


# Refused: an earlier result that is damaged, or of other weights


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda content: content[:-20], "is damaged: .* is not valid JSON"),
        (lambda content: content.replace(b'"seconds": ', b'"seconds": 1', 1), "edited after it was written"),
        (lambda content: content.replace(b'"name": ', b'"nome": ', 1), "is damaged: "),
        (resealed(schema_version=99), "is damaged: schema_version: "),
        (resealed(unknown=1), "is damaged: unknown: "),
        (resealed(weights_sha256="0" * 64), "is of other weights than those in the run's record"),
    ],
)
def test_a_damaged_result_is_refused_by_name(grid, kind, name, done, change, why):
    record = RunPaths("smoke", grid.folders[name]).record
    sha256 = json.loads(record.read_text())["weights_sha256"]
    kept = evaluation_of(kind).record
    before = done.product.read_bytes()
    assert is_of_record(done.product, record)
    assert kept.find(done.product, sha256) == kept.read(done.product)
    done.product.write_bytes(change(before))
    try:
        assert done.product.read_bytes() != before
        with pytest.raises(DmixError, match=why) as caught:
            job.evaluate(grid, kind, name, CPU)
        assert str(done.product) in str(caught.value)
        assert f"delete it; dmix evaluate NAME --{kind}" in caught.value.way_out
        assert kept.find(done.product, sha256) is None
        # Of a digest of its code, an evaluation has one schema: the workflow looks at seal and weights alone.
        assert is_of_record(done.product, record) == ("schema" in why or "unknown" in why)
    finally:
        done.product.write_bytes(before)


# Who else needs to know of it


def test_gc_lists_evaluations_that_nothing_names(grid, done):
    current = done.product.parent
    old = current.with_name(current.name[:-8] + "0" * 8)
    old.mkdir()
    try:
        found = {each.path for each in garbage(grid, Path("paper_tables"))}
    finally:
        old.rmdir()
    assert old in found
    assert not {current, done.work} & found


def test_a_bundle_has_the_evaluations_that_are_there(grid, kind, name, done):
    frame = load_frame(grid, tuple(grid.runs), records_folder("smoke"))
    place = str(done.product.relative_to("results/smoke"))
    assert contents(grid, frame, weights=False, unmade={}).files[place] == done.product
    done.product.unlink()
    assert place not in contents(grid, frame, weights=False, unmade={}).files


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('"""Measures it."""\n', "has a docstring and the constant TAKES"),
        ('TAKES = {"task": ("semi",)}\n', "has a docstring and the constant TAKES"),
        ('"""Measures it."""\nTAKES = {"task": tuple(TASKS)}\n', "is computed"),
    ],
)
def test_a_module_that_says_not_what_it_takes_is_refused_by_name(tmp_path, text, why):
    path = tmp_path / "new.py"
    path.write_text(text)
    with pytest.raises(DmixError, match=why) as caught:
        read_kind(path)
    assert str(path) in str(caught.value)
