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
from dmix.grid.evaluation import product_of, refusal, shown_evaluations
from dmix.grid.expand import load_grid
from dmix.grid.paths import RunPaths, records_folder
from dmix.job.evaluate import evaluate
from dmix.job.options import Options
from dmix.job.train import train
from dmix.mixed.record import Counts, MixedAccuracy
from dmix.plot.render import draw
from dmix.plot.style import styled
from mixed_project import CUTMIX, FIGURES, MIXUP, VANILLA, params
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
    return product_of(records_folder("smoke"), "mixed", grid.folders[name])


@pytest.fixture
def evaluated(grid):
    """All three runs, evaluated."""
    for name in (CUTMIX, MIXUP, VANILLA):
        assert evaluate(grid, "mixed", name, CPU) == 0
    return grid


def test_a_run_is_mixed_by_its_own_and_common_policies(grid, capfd):
    product(grid).unlink(missing_ok=True)
    assert cli.main(["evaluate", CUTMIX, *EVALUATE]) == 0
    assert f"{CUTMIX}: own policy, top-1 " in capfd.readouterr().out
    found = MixedAccuracy.read(product(grid))
    assert found.images == 250
    assert list(found.mixings) == ["own", "mixup", "cutmix"]
    assert found.mixings["own"] == found.mixings["cutmix"]
    assert all(mixing.training.pairs == 250 for mixing in found.mixings.values())
    assert "scipy" in found.versions


def test_a_run_without_mixing_is_mixed_by_the_common_policies(evaluated):
    found = MixedAccuracy.read(product(evaluated, VANILLA))
    assert list(found.mixings) == ["mixup", "cutmix"]
    assert all(mixing.training is None and len(mixing.sweep) == 21 for mixing in found.mixings.values())


def test_hits_are_at_most_pairs_and_top2_at_most_top1():
    for top1, top2 in ((11, 0), (3, 4)):
        with pytest.raises(ValueError, match="top2 <= top1 <= pairs"):
            Counts(pairs=10, top1=top1, top2=top2, lam=0.5, share=None)


def test_methods_that_mix_unlabelled_images_are_not_taken(grid):
    spec = grid.runs[CUTMIX]
    semi = replace(spec, settings={**spec.settings, "method": {"use": "semi/fixmatch"}})
    assert refusal("mixed", semi) == "it takes runs with method.use supervised, not semi/fixmatch"


# Which runs


def test_the_runs_of_the_figures_that_read_them_are_evaluated(grid):
    expected = [name for name in grid.grids["cifar10"] if name in grid.folders]
    assert list(shown_evaluations(grid, grid.figures["figure6"])) == expected
    entry = grid.figures["figure6"].model_copy(update={"reads": "records"})
    assert list(shown_evaluations(grid, entry)) == []


def test_a_figure_is_drawn_again_after_an_edit_of_the_evaluation(grid, monkeypatch):
    before = figure_digest(grid, "figure6")
    monkeypatch.setattr("dmix.grid.artefact.evaluation_digest", lambda kind: "other")
    assert figure_digest(grid, "figure6") != before


def test_absent_weights_are_told_with_the_command_that_gets_them(grid):
    """A checkout that pulled records alone has the evaluations, and makes none."""
    weights = RunPaths("smoke", grid.folders[CUTMIX]).weights
    assert evaluate(grid, "mixed", CUTMIX, CPU) == 0
    product(grid).rename("kept")
    weights.parent.rename("away")
    try:
        with pytest.raises(DmixError, match=f"the weights of {CUTMIX} are not here") as caught:
            evaluate(grid, "mixed", CUTMIX, CPU)
        assert f"run dvc pull {weights.parent}" in caught.value.way_out
        Path("kept").rename(product(grid))
        assert evaluate(grid, "mixed", CUTMIX, CPU) == 0
    finally:
        Path("away").rename(weights.parent)


# The figures


def drawn(grid, name):
    with styled():
        return draw(grid, name, records_folder("smoke"))


def points(axis, markers):
    """The values on x of the marks drawn alone, by place on y."""
    return sorted(
        (round(float(line.get_ydata()[0]), 6), line.get_marker(), float(line.get_xdata()[0]))
        for line in axis.lines
        if line.get_marker() in markers and len(line.get_xdata()) == 1
    )


def test_figure_2_has_the_numbers_of_the_files(evaluated):
    found = drawn(evaluated, "figure2_left")
    mixup, cutmix = (
        MixedAccuracy.read(product(evaluated, name)).mixings["own"].training for name in (MIXUP, CUTMIX)
    )
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
    files = {name: MixedAccuracy.read(product(evaluated, name)).mixings for name in (MIXUP, CUTMIX, VANILLA)}
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
    sweep = MixedAccuracy.read(product(evaluated)).mixings["own"].sweep
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
    path = product(evaluated)
    before = path.read_bytes()
    path.write_bytes(before.replace(b'"images": 250', b'"images": 249'))
    try:
        with pytest.raises(DmixError, match=f"{path} is damaged"):
            drawn(evaluated, "figure2_left")
    finally:
        path.write_bytes(before)
    assert json.loads(path.read_text())["images"] == 250
