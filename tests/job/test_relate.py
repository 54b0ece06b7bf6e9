"""A relationship of classes, from its name to its record, on embedded editions of CUB and ImageNet."""

from __future__ import annotations

import hashlib
import json
import re
import time

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml

from dmix import cli
from dmix.class_relation_record import read_relation
from dmix.data.loading.feed import ReadOptions
from dmix.engine import class_relation as engine
from dmix.engine.device import choose_device
from dmix.engine.parts import load_dataset, load_labels, load_part
from dmix.errors import DmixError
from dmix.grid.expand import folder, load_grid
from dmix.grid.paths import DATA, WORK, ClassRelationPaths, RunPaths
from dmix.grid.promise import promise
from dmix.job import class_relation as job
from dmix.job.given import relation_of, weights_of
from dmix.job.options import Options
from dmix.job.train import train
from dmix.methods.class_relations.reverse import STRENGTHS, reverse
from dmix.record import read_record
from project import ROOT, Project
from streamed import SMOKE, SOURCE, rule, streamed

pytestmark = pytest.mark.slow

RUN = "supervised/taught/cub/resnet18/vanilla/ce/percent={}/s{}"
NAME = "relation/cub/resnet18/percent={}/s0"
HALF, FEW = NAME.format(50), NAME.format(5)
RELATION = {"use": "reverse", "source_scale": 0.9, "fit_percent": 80, "largest_scale": 1000.0}
CPU = Options("cpu")


def params():
    """The small grids on ImageNet, and runs on CUB that are taught a relationship without any use for it."""
    found = streamed()
    found["recipes"]["labelled"] = {
        "base": "finegrained",
        "labels": {"use": "hash_rule", "percent": 30},
        "view": {"use": "ten_crop", "side": 22, "size": 16, "interpolation": "bicubic"},
    }
    found["methods"]["taught"] = {
        "title": "Taught",
        "use": "supervised",
        "task": "supervised",
        "relation": RELATION,
    }
    cell = {"recipe": "labelled", "dataset": "cub", "backbone": "resnet18", "policy": "vanilla"}
    found["grids"] = {
        "imagenet_vanilla": found["grids"]["imagenet_vanilla"],
        "taught": {"method": "taught", **cell, "objective": "ce", "labels.percent": [50, 5], "seeds": [0, 1]},
    }
    table = {"number": "0", "title": "t", "grids": ["taught"], "rows": "method"}
    found["tables"] = {"table_t": {**table, "columns": ["labels.percent"]}}
    smoke = [
        rule(*each)
        for each in SMOKE
        if "cifar" not in str(each) and each[0].get("backbone") != "resnext50" and "view.size" not in each[1]
    ]
    of_imagenet = {"view.shorter_side": 20, "view.size": 16}
    found["tiers"]["smoke"] |= {"omit": [], "overrides": [*smoke, rule({"dataset": "imagenet"}, of_imagenet)]}
    return yaml.safe_dump(found, sort_keys=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory, embedded_data):
    """A folder in which the source is trained."""
    with pytest.MonkeyPatch.context() as patch:
        here = tmp_path_factory.mktemp("relations")
        patch.chdir(here)
        (here / "data").symlink_to(embedded_data)
        (here / "reference").symlink_to(ROOT / "reference")
        (here / "params.yaml").write_text(params())
        assert train(load_grid("smoke"), SOURCE, CPU) == 0
        yield here


@pytest.fixture
def grid(home, monkeypatch):
    """The smoke tier."""
    monkeypatch.chdir(home)
    return load_grid("smoke")


@pytest.fixture
def fresh(grid):
    """The grid before anything was learned."""
    for name in grid.class_relations:
        paths = of(grid, name)
        for path in (paths.record, paths.matrix):
            path.unlink(missing_ok=True)
    return grid


def of(grid, name=HALF):
    return ClassRelationPaths(grid.tier, folder(grid.class_relations[name]))


def matrix(grid, name=HALF):
    return safetensors.torch.load_file(of(grid, name).matrix)["relationship"]


def flipped(path):
    """Flip one bit of a file, in the middle, and return what it held."""
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    return content


def test_a_damaged_source_is_named_and_has_to_be_got_or_trained_again(fresh):
    assert job.relate(fresh, HALF, CPU) == 0
    source = RunPaths("smoke", fresh.folders[SOURCE])
    run = RUN.format(50, 1)
    before = flipped(source.weights)
    try:
        # The relation as well: it was learned from the source, and learning it again would repair nothing.
        for start in (
            lambda: train(fresh, run, CPU),
            lambda: job.relate(fresh, FEW, CPU),
            lambda: weights_of(fresh, fresh.runs[run]),
        ):
            with pytest.raises(DmixError) as caught:
                start()
            assert f"starts from the weights of {SOURCE}, which is damaged: weights.safetensors" in str(
                caught.value
            )
            assert f"dmix train {SOURCE} --tier smoke" in caught.value.way_out
            assert "relat" not in caught.value.way_out
    finally:
        source.weights.write_bytes(before)
    assert weights_of(fresh, fresh.runs[run]) == source.weights


@pytest.mark.parametrize("name", ["matrix", "record"])
def test_a_damaged_relationship_is_named_and_has_to_be_learned_again(fresh, name):
    assert job.relate(fresh, HALF, CPU) == 0
    flipped(getattr(of(fresh), name))
    with pytest.raises(DmixError, match=r"the class relation is damaged: .* was cut or edited") as caught:
        relation_of(fresh, fresh.runs[RUN.format(50, 0)])
    assert f"delete {of(fresh).results}, then run: dmix relate {HALF}" in caught.value.way_out


def test_seeds_share_one_relationship_and_label_sets_have_their_own(grid):
    assert set(grid.class_relations) == {HALF, FEW}
    for percent in (50, 5):
        specs = [grid.runs[RUN.format(percent, seed)] for seed in (0, 1)]
        one, other = (spec.relation for spec in specs)
        assert one == other == grid.class_relations[NAME.format(percent)]
        assert folder(one) == folder(other)
        assert len({spec.digest() for spec in specs}) == 2


def test_the_record_says_what_it_was_learned_from(fresh, capsys):
    assert job.relate(fresh, HALF, CPU) == 0
    record, spec = read_relation(of(fresh).record), fresh.class_relations[HALF]
    said = f"{HALF}: reverse estimator, {100 * record.accuracy:.1f} % of the held-out images right ("
    assert capsys.readouterr().out.startswith(said)
    found = matrix(fresh)
    assert found.dtype == torch.float64
    assert found.shape == (20, 20)
    torch.testing.assert_close(found.sum(1), torch.ones(20).double(), rtol=0, atol=1e-12)
    data = load_dataset(spec, DATA)
    labels = load_labels(spec, data)
    assert f"{record.name}-{record.spec_digest}-{record.code_digest}" == of(fresh).folder
    assert record.spec == json.loads(json.dumps(spec.identity()))
    assert (record.data_edition, record.data_fingerprint) == ("embedded", data.fingerprint)
    assert (record.labelled, record.labelled_sha256) == (160, labels.digest)
    assert (record.estimator, record.fallback) == ("reverse", "")
    assert record.strength in STRENGTHS
    assert record.scale != 0
    assert 0 <= record.accuracy <= 1
    assert record.seconds > 0
    assert {"torch", "numpy", "scipy"} < set(record.versions)
    assert (record.hardware.device, record.hardware.threads) == ("cpu", 1)
    assert record.matrix_sha256 == hashlib.sha256(of(fresh).matrix.read_bytes()).hexdigest()
    source = read_record(RunPaths(fresh.tier, fresh.folders[SOURCE]).record)
    assert record.init_sha256 == source.weights_sha256
    assert not (WORK / fresh.tier / of(fresh).folder / "lock").exists()


def test_it_is_that_of_a_naive_loop_over_the_labelled_images(fresh):
    assert job.relate(fresh, HALF, CPU) == 0
    spec = fresh.class_relations[HALF]
    data = load_dataset(spec, DATA)
    labels, train_split = load_labels(spec, data), data.splits["train"]
    whole = load_part("backbone", spec.settings["backbone"], 20)
    trained = safetensors.torch.load_file(weights_of(fresh, spec))
    whole.load_state_dict({name.removeprefix("model."): tensor for name, tensor in trained.items()})
    whole.eval()
    view, recipe = load_part("view", spec.settings["view"]), spec.settings["recipe"]
    logits = []
    for row in labels.labelled:
        pixels = view(train_split.image(row))[3:19, 3:19].astype(np.float32) / 255
        pixels = (pixels - np.array(recipe["mean"], np.float32)) / np.array(recipe["std"], np.float32)
        with torch.no_grad():
            logits.append(whole(torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0))[0])
    rows = labels.labelled
    given = engine.Evidence(torch.stack(logits), torch.from_numpy(train_split.labels[rows]), 20, data, rows)
    expected = reverse(given, **{key: value for key, value in RELATION.items() if key != "use"})
    torch.testing.assert_close(matrix(fresh), expected.matrix, rtol=0, atol=1e-4)
    assert read_relation(of(fresh).record).strength == expected.strength


@pytest.mark.parametrize("workers", [0, 2])
def test_it_has_the_same_bits_however_it_is_read(workers, fresh, tmp_path):
    spec = fresh.class_relations[HALF]
    data, weights = load_dataset(spec, DATA), weights_of(fresh, spec)
    assert job.relate(fresh, HALF, CPU) == 0
    torch.manual_seed(workers + 5)  # what the classifier of a backbone is drawn from
    learned = engine.relate(
        spec, data, choose_device("cpu"), ReadOptions(workers, tmp_path / "cache"), weights
    )
    assert torch.equal(learned.matrix, matrix(fresh))
    assert not (tmp_path / "cache").exists()


def test_a_finished_one_returns_at_once(fresh, monkeypatch, capsys):
    assert job.relate(fresh, HALF, CPU) == 0
    before = {path: path.stat().st_mtime_ns for path in of(fresh).results.iterdir()}
    assert {path.name for path in before} == {"relation.json", "relationship.safetensors"}
    capsys.readouterr()
    monkeypatch.setattr(job, "learn", None)
    assert job.relate(fresh, HALF, CPU) == 0
    assert {path: path.stat().st_mtime_ns for path in of(fresh).results.iterdir()} == before
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("what", ["no matrix", "other matrix", "other name", "no record", "cut off"])
def test_what_is_not_whole_or_not_what_the_path_promises_is_learned_again(what, fresh):
    assert job.relate(fresh, HALF, CPU) == 0
    record, weights = of(fresh).record, of(fresh).matrix
    expected = weights.read_bytes(), read_relation(record)
    if what == "no matrix":
        weights.unlink()
    elif what == "other matrix":
        weights.write_bytes(weights.read_bytes()[:-1])
    elif what == "no record":
        record.unlink()
    else:
        text = record.read_text()
        record.write_text(text.replace(HALF, FEW, 1) if what == "other name" else text[:-20])
    assert job.relate(fresh, HALF, CPU) == 0
    again = read_relation(record)
    assert weights.read_bytes() == expected[0]
    timeless = {"seconds", "hardware", "record_sha256"}
    assert again.model_dump(exclude=timeless) == expected[1].model_dump(exclude=timeless)


@pytest.mark.parametrize("place", ["in the matrix", "before the record"])
def test_what_is_cut_short_leaves_nothing_half_written(place, fresh, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch:
        if place == "in the matrix":
            patch.setattr("dmix.files.os.fsync", die)
            patch.setattr(
                "dmix.job.claim.write_text", lambda path, text: path.parent.mkdir(parents=True, exist_ok=True)
            )
        else:
            patch.setattr(job.Relation, "write", die)
        with pytest.raises(Killed):
            job.relate(fresh, HALF, CPU)
    left = {path.name for path in of(fresh).results.iterdir()}
    assert left == (set() if place == "in the matrix" else {"relationship.safetensors"})
    with pytest.raises(DmixError) as caught:
        relation_of(fresh, fresh.runs[RUN.format(50, 0)])
    assert caught.value.way_out == f"run: dmix relate {HALF} --tier smoke"
    assert job.relate(fresh, HALF, CPU) == 0
    assert relation_of(fresh, fresh.runs[RUN.format(50, 0)]) == of(fresh).matrix


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {**state, "model.neck": torch.ones(1)}, "are of another network: its model.neck has"),
        (
            lambda state: {name: tensor for name, tensor in state.items() if "head" not in name},
            "have no classifier",
        ),
        (None, "is damaged, or no file of weights"),
    ],
    ids=["network", "headless", "damaged"],
)
def test_wrong_weights_are_refused_and_leave_nothing(change, message, fresh, monkeypatch):
    weights = weights_of(fresh, fresh.class_relations[HALF])
    monkeypatch.setattr(job, "weights_of", lambda *_: weights)  # which compares them with their record
    whole = weights.read_bytes()
    state = safetensors.torch.load(whole)
    weights.write_bytes(whole[:-1] if change is None else safetensors.torch.save(change(state)))
    try:
        with pytest.raises(DmixError, match=message):
            job.relate(fresh, HALF, CPU)
    finally:
        weights.write_bytes(whole)
    assert not list(of(fresh).results.glob("*"))
    assert not (WORK / fresh.tier / of(fresh).folder / "lock").exists()


def test_random_weights_have_no_source_classes(fresh):
    spec = fresh.class_relations[HALF]
    with pytest.raises(DmixError) as caught:
        engine.relate(spec, load_dataset(spec, DATA), choose_device("cpu"), ReadOptions(), None)
    assert caught.value.message == f"{HALF}: a network with random weights has no source classes to relate"
    assert "recipe.init" in caught.value.way_out


def test_where_no_image_can_be_held_out_another_estimator_is_used_and_said(fresh, capsys):
    assert job.relate(fresh, FEW, CPU) == 0
    record = read_relation(of(fresh, FEW).record)
    reason = "a class has 1 labelled image, and none can be held out"
    assert (record.labelled, record.estimator, record.fallback) == (20, "direct", reason)
    assert record.strength is record.scale is record.accuracy is None
    assert capsys.readouterr().out.startswith(f"{FEW}: direct estimator, because {reason} (")


def test_a_run_waits_for_it_and_names_it_in_its_record(fresh):
    name = RUN.format(50, 1)
    with pytest.raises(DmixError) as caught:
        train(fresh, name, CPU)
    assert caught.value.way_out == f"run: dmix relate {HALF} --tier smoke"
    assert job.relate(fresh, HALF, CPU) == 0
    assert train(fresh, name, CPU) == 0
    record = read_record(RunPaths(fresh.tier, fresh.folders[name]).record)
    assert record.relation_sha256 == read_relation(of(fresh).record).matrix_sha256


def command(*arguments):
    return cli.main(["relate", *arguments, "--tier", "smoke", "--device", "cpu"])


def test_the_command_learns_what_was_promised_or_nothing(fresh, home, capsys):
    promised = promise(fresh.class_relations[HALF])
    text = (home / "params.yaml").read_text()
    try:
        (home / "params.yaml").write_text(text.replace("source_scale: 0.9", "source_scale: 1.1"))
        assert command(HALF, "--promise", promised) == 2
    finally:
        (home / "params.yaml").write_text(text)
    said = capsys.readouterr().err
    assert (
        f"{HALF}: the parameters changed since this job was submitted: relation.source_scale: 0.9 -> 1.1"
        in said
    )
    assert not of(fresh).record.exists()
    assert command(HALF, "--promise", promised) == 0
    assert of(fresh).record.exists()


def test_the_command_names_what_can_be_learned(fresh, home, capsys):
    assert command("relation/cub/resnet18/percent=51/s0") == 2
    said = capsys.readouterr().err
    assert "there is no class relation named 'relation/cub/resnet18/percent=51/s0' at tier smoke" in said
    assert f"choose of {HALF}, {FEW}" in said
    text = (home / "params.yaml").read_text()
    try:
        (home / "params.yaml").write_text(text.replace("edition: embedded", "edition: real"))
        assert command(HALF) == 2
    finally:
        (home / "params.yaml").write_text(text)
    assert "percent=50/s0 is blocked: what it needs is not on this machine" in capsys.readouterr().err


def test_gc_keeps_what_a_run_is_taught(fresh, home, capsys):
    assert job.relate(fresh, FEW, CPU) == 0
    stale = of(fresh, FEW).results.with_name("s0-01234567-89abcdef")
    stale.mkdir()
    assert cli.main(["gc", "--tier", "smoke", "--delete"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if "deleted" in line] == [f"deleted {stale}"]
    assert of(fresh, FEW).matrix.exists()


@pytest.fixture
def elsewhere(tmp_path, embedded_data):
    """A project of its own, in which commands are processes."""
    return Project.create(tmp_path / "project", embedded_data, params())


def test_the_workflow_learns_each_once_between_the_source_and_the_runs(elsewhere):
    def rules(*arguments):
        done = elsewhere.snakemake("-n", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        told = re.findall(r"(?m)^Job \d+: (Train|Learn) \S+$", done.stdout + done.stderr)
        return [told.count(what) for what in ("Train", "Learn")]

    assert rules() == [5, 2]
    done = elsewhere.snakemake("--quiet", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    home = elsewhere.path / "results/smoke/records/relation/cub/resnet18"
    found = sorted(path.parent.parent.name for path in home.rglob("relation.json"))
    assert found == ["percent=5", "percent=50"]
    (log,) = (elsewhere.path / "work/smoke/relation/cub/resnet18/percent=5").rglob("log.txt")
    assert ": direct estimator, because a class has 1 labelled image" in log.read_text()
    again = elsewhere.snakemake("-n")
    assert "Nothing to be done" in again.stdout + again.stderr
    # What happens to it later is no reason to train again; a run that is missing needs it again.
    for path in home.rglob("relation.json"):
        path.unlink()
    assert rules("runs") == [0, 0]
    (elsewhere.path / "results/smoke/records" / elsewhere.folder(RUN.format(5, 1)) / "record.json").unlink()
    assert rules("runs") == [1, 1]


def test_a_killed_process_is_followed_by_one_that_starts_anew(elsewhere):
    done = elsewhere.dmix("train", SOURCE, "--tier", "smoke", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    arguments = ("relate", HALF, "--tier", "smoke", "--device", "cpu")
    work, results = (elsewhere.path / name / "smoke" for name in ("work", "results"))
    first = elsewhere.start("dmix", *arguments)
    deadline = time.monotonic() + 120
    while not list(work.glob(f"{HALF}-*/lock")) and time.monotonic() < deadline:
        time.sleep(0.002)
    first.kill()
    first.communicate()
    assert len(list(work.glob(f"{HALF}-*/lock"))) == 1
    assert not list(results.glob("records/**/relation.json"))
    done = elsewhere.dmix(*arguments)
    assert done.returncode == 0, done.stderr
    (record,) = results.glob("records/**/relation.json")
    content = record.with_name("relationship.safetensors").read_bytes()
    assert read_relation(record).matrix_sha256 == hashlib.sha256(content).hexdigest()
    assert not list(work.glob(f"{HALF}-*/lock"))
