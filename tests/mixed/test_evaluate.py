"""`dmix evaluate --mixed`: from the weights of a finished run to mixed.json, and to the figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dmix import cli
from dmix.errors import DmixError
from dmix.figures.mixed_sweep import placed
from dmix.grid.artefact import figure_digest
from dmix.grid.expand import load_grid
from dmix.grid.mixed import MixedPaths, evaluated_runs, mixed_digest, product_of
from dmix.grid.paths import RunPaths, runs_folder
from dmix.job import mixed_accuracy as job
from dmix.job.garbage import garbage
from dmix.job.options import Options
from dmix.job.train import train
from dmix.mixed.record import Counts, check_weights, is_of_record, read_mixed
from dmix.plot.render import draw
from dmix.plot.style import styled
from mixed_project import CUTMIX, FIGURES, MIXUP, RUN, VANILLA, params
from project import Project

CPU = Options("cpu")
EVALUATE = ["--mixed", "--tier", "smoke", "--device", "cpu"]


@pytest.fixture(scope="module")
def home(tmp_path_factory, embedded_data):
    """A project in which three runs are finished."""
    project = Project.create(tmp_path_factory.mktemp("mixed") / "project", embedded_data, params())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.path)
        for name in (CUTMIX, MIXUP, VANILLA):
            assert train(load_grid("smoke"), name, CPU) == 0
        yield project


@pytest.fixture
def grid(home, monkeypatch):
    monkeypatch.chdir(home.path)
    return load_grid("smoke")


def product(grid, name=CUTMIX):
    return MixedPaths("smoke", grid.folders[name]).product


@pytest.fixture
def evaluated(grid):
    """All three runs, evaluated."""
    for name in (CUTMIX, MIXUP, VANILLA):
        assert job.evaluate_mixed(grid, name, CPU) == 0
    return grid


def edit(path: Path, change):
    before = path.read_bytes()
    path.write_bytes(change(before))
    return before


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def test_a_finished_run_is_evaluated_once(grid, capfd, monkeypatch):
    path = product(grid)
    path.unlink(missing_ok=True)
    assert cli.main(["evaluate", CUTMIX, *EVALUATE]) == 0
    assert f"{CUTMIX}: own policy, top-1 " in capfd.readouterr().out
    found = read_mixed(path)
    assert path == Path("results/smoke/mixed") / f"{grid.folders[CUTMIX]}-{mixed_digest()}" / "mixed.json"
    assert (found.name, found.folder, found.images) == (CUTMIX, grid.folders[CUTMIX], 250)
    assert list(found.mixings) == ["own", "mixup", "cutmix"]
    assert found.mixings["own"] == found.mixings["cutmix"]
    assert all(mixing.training.pairs == 250 for mixing in found.mixings.values())
    written = path.read_bytes(), path.stat().st_mtime_ns
    monkeypatch.setattr(job, "_evaluate", None)  # whoever calls it fails
    assert cli.main(["evaluate", CUTMIX, *EVALUATE]) == 0
    assert (path.read_bytes(), path.stat().st_mtime_ns) == written


def test_it_is_the_same_again(evaluated):
    path = product(evaluated)
    first = read_mixed(path)
    path.unlink()
    assert job.evaluate_mixed(evaluated, CUTMIX, CPU) == 0
    again = read_mixed(path)
    assert again.mixings == first.mixings
    assert again.weights_sha256 == first.weights_sha256


def test_a_run_without_mixing_is_mixed_by_the_common_policies(evaluated):
    found = read_mixed(product(evaluated, VANILLA))
    assert list(found.mixings) == ["mixup", "cutmix"]
    assert all(mixing.training is None and len(mixing.sweep) == 21 for mixing in found.mixings.values())


def test_damaged_weights_are_refused(grid, capfd):
    product(grid).unlink(missing_ok=True)
    weights = RunPaths("smoke", grid.folders[CUTMIX]).weights
    before = edit(weights, flip)
    try:
        assert cli.main(["evaluate", CUTMIX, *EVALUATE]) == 1
    finally:
        weights.write_bytes(before)
    told = capfd.readouterr().err
    assert f"{weights} was cut or edited: its sha256 is not the one in record.json" in told
    assert not product(grid).exists()
    failure = MixedPaths("smoke", grid.folders[CUTMIX]).failure
    assert str(weights) in failure.read_text()
    assert cli.main(["evaluate", CUTMIX, *EVALUATE]) == 0
    assert not failure.exists()


def test_missing_weights_are_named(grid):
    product(grid).unlink(missing_ok=True)
    weights = RunPaths("smoke", grid.folders[CUTMIX]).weights
    hidden = weights.rename(weights.with_suffix(".hidden"))
    try:
        with pytest.raises(DmixError, match=f"cannot read {weights}: No such file"):
            job.evaluate_mixed(grid, CUTMIX, CPU)
    finally:
        hidden.rename(weights)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda content: content[:-20], "not valid JSON"),
        (lambda content: content.replace(b'"top1": ', b'"top1": 1', 1), "is damaged"),
        (lambda content: content.replace(b'"images": 250', b'"images": 249'), "edited after it was written"),
        (lambda content: content.replace(b'"images": 250,', b""), "images: Field required"),
    ],
)
def test_a_damaged_product_is_refused_by_name(evaluated, change, why):
    path = product(evaluated)
    before = edit(path, change)
    try:
        assert path.read_bytes() != before
        for read in (lambda: read_mixed(path), lambda: job.evaluate_mixed(evaluated, CUTMIX, CPU)):
            with pytest.raises(DmixError, match=why) as caught:
                read()
            assert str(path) in str(caught.value)
            assert "delete it" in caught.value.way_out
        record = RunPaths("smoke", evaluated.folders[CUTMIX]).record
        assert not is_of_record(path, record)
    finally:
        path.write_bytes(before)
    assert is_of_record(path, record)


def test_accuracies_of_other_weights_are_refused(evaluated):
    path = product(evaluated)
    with pytest.raises(DmixError, match="is of other weights than those in the run's record"):
        check_weights(read_mixed(path), path, "0" * 64)


def test_hits_are_at_most_pairs_and_top2_at_most_top1():
    for top1, top2 in ((11, 0), (3, 4)):
        with pytest.raises(ValueError, match="top2 <= top1 <= pairs"):
            Counts(pairs=10, top1=top1, top2=top2, lam=0.5, share=None)


def test_an_unfinished_and_an_unknown_run_and_another_kind_of_run_are_refused(grid, capfd):
    assert cli.main(["evaluate", RUN.format("mixup", "dm_ce"), *EVALUATE]) == 1
    assert "is not finished: it has no record" in capfd.readouterr().err
    assert cli.main(["evaluate", "supervised/nothing", *EVALUATE]) == 2
    assert "there is no run named" in capfd.readouterr().err
    spec = grid.runs[CUTMIX]
    semi = replace(spec, settings={**spec.settings, "method": {"use": "semi/fixmatch"}})
    with pytest.raises(DmixError, match="measured of supervised runs; semi/fixmatch mixes"):
        job.evaluate_mixed(replace(grid, runs={**grid.runs, CUTMIX: semi}), CUTMIX, CPU)


def test_other_data_than_those_of_the_run_are_refused(grid, monkeypatch):
    product(grid).unlink(missing_ok=True)
    other = grid.runs["supervised/cifar100/resnet18/cutmix/dm_ce/s0"]
    load = job.load_dataset
    monkeypatch.setattr(job, "load_dataset", lambda spec, root: load(other, root))
    with pytest.raises(DmixError, match="was trained and tested on other data"):
        job.evaluate_mixed(grid, CUTMIX, CPU)


# Which runs, and what nobody needs any more


def test_the_runs_of_the_figures_that_read_them_are_evaluated(grid):
    expected = [name for name in grid.grids["cifar10"] if name in grid.folders]
    assert list(evaluated_runs(grid)) == expected
    without = replace(grid, params=grid.params.model_copy(update={"figures": {}}))
    assert evaluated_runs(without) == ()


def test_a_figure_is_drawn_again_after_an_edit_of_the_evaluation(grid, monkeypatch):
    before = figure_digest(grid, "figure6")
    monkeypatch.setattr("dmix.grid.artefact.mixed_digest", lambda: "other")
    assert figure_digest(grid, "figure6") != before


def test_gc_lists_evaluations_that_nothing_names(evaluated):
    current = product(evaluated).parent
    old = current.with_name(current.name[:-8] + "0" * 8)
    old.mkdir()
    try:
        found = {each.path for each in garbage(evaluated, Path("paper_tables"))}
        assert old in found
        assert current not in found
        assert MixedPaths("smoke", evaluated.folders[CUTMIX]).work not in found
    finally:
        old.rmdir()


# The figures


def drawn(grid, name):
    with styled():
        return draw(grid, name, runs_folder("smoke"))


def points(axis, markers):
    """The values on x of the marks drawn alone, by place on y."""
    return sorted(
        (round(float(line.get_ydata()[0]), 6), line.get_marker(), float(line.get_xdata()[0]))
        for line in axis.lines
        if line.get_marker() in markers and len(line.get_xdata()) == 1
    )


def test_figure_2_has_the_numbers_of_the_files(evaluated):
    found = drawn(evaluated, "figure2_left")
    mixup, cutmix = (read_mixed(product(evaluated, name)).mixings["own"].training for name in (MIXUP, CUTMIX))
    axis = found.figure.axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["Mixup", "CutMix"]
    assert points(axis, "os") == [
        (-0.18, "o", mixup.top1_percent),
        (-0.18, "s", mixup.top2_percent),
        (1.18, "o", cutmix.top1_percent),
        (1.18, "s", cutmix.top2_percent),
    ]
    fills = [line.get_markerfacecolor() for line in axis.lines if line.get_marker() == "o"]
    assert fills[0] == "white" != fills[1]
    assert found.data["top1"].tolist() == [mixup.top1_percent, cutmix.top1_percent]
    assert found.says == "Seeds: 1. 3 of 7 runs are finished."
    assert f"CutMix with DM(CE) {cutmix.top1_percent:.2f}" in found.alt


def test_figure_6_compares_at_equal_lam(evaluated):
    found = drawn(evaluated, "figure6")
    files = {name: read_mixed(product(evaluated, name)).mixings for name in (MIXUP, CUTMIX, VANILLA)}
    titles = ["mixed by own policy", "mixed by Mixup", "mixed by CutMix"]
    assert [axis.get_title() for axis in found.figure.axes] == titles
    own, by_mixup, by_cutmix = (points(axis, "xo^") for axis in found.figure.axes)
    assert [value for *_, value in own] == [
        files[MIXUP]["own"].training.top1_percent,
        files[CUTMIX]["own"].training.top1_percent,
    ]
    for mixing, panel in (("mixup", by_mixup), ("cutmix", by_cutmix)):
        means = [
            sum(point.top1_percent for point in files[name][mixing].sweep) / 21
            for name in (VANILLA, MIXUP, CUTMIX)
        ]
        assert [value for *_, value in panel] == pytest.approx(means)


def test_the_sweep_has_a_line_over_the_share_and_a_thin_one_over_lam(evaluated):
    found = drawn(evaluated, "sweep")
    sweep = read_mixed(product(evaluated)).mixings["own"].sweep
    thin, strong = found.figure.axes[0].lines
    assert strong.get_xdata().tolist() == pytest.approx([point.share for point in sweep])
    assert thin.get_xdata().tolist() == [point.nominal for point in sweep]
    for line in (thin, strong):
        assert line.get_ydata().tolist() == [point.top1_percent for point in sweep]
    assert found.figure.axes[0].get_ylim()[0] == 0
    assert placed(found.data)["at"].tolist() == pytest.approx([point.share for point in sweep])


def test_figures_without_any_evaluation_are_drawn_empty(grid):
    for name in (CUTMIX, MIXUP, VANILLA):
        product(grid, name).unlink(missing_ok=True)
    for name in FIGURES:
        found = drawn(grid, name)
        assert found.data.empty
        assert found.says.startswith("No run is evaluated yet.")


def test_finished_runs_that_are_not_evaluated_are_told(evaluated):
    product(evaluated, MIXUP).unlink()
    assert drawn(evaluated, "figure2_left").says.startswith(
        "Seeds: 1. 1 of 2 finished runs are not evaluated"
    )
    assert drawn(evaluated, "figure6").says.startswith("Seeds: 1. 1 of 3 finished runs are not evaluated")


def test_a_figure_refuses_a_damaged_file_by_name(evaluated):
    path = product_of(runs_folder("smoke"), evaluated.folders[CUTMIX])
    before = edit(path, lambda content: content.replace(b'"images": 250', b'"images": 249'))
    try:
        with pytest.raises(DmixError, match=f"{path} is damaged"):
            drawn(evaluated, "figure2_left")
    finally:
        path.write_bytes(before)
    assert json.loads(path.read_text())["images"] == 250
