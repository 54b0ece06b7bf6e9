"""The files of a figure: equal bytes in every process, and digests that follow what a figure depends on."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from project import ROOT, Project, real_grid
from small_figures import figure_params

FIGURES = ("swept", "kinds", "course", "small", "forest", "costs")
DIGESTS = """
from dmix.grid.artefact import figure_digest, table_digest
from dmix.grid.expand import load_grid
grid = load_grid("smoke")
for name in grid.figures:
    print(name, figure_digest(grid, name))
for name in grid.tables:
    print(name, table_digest(grid, name))
"""
DRAW = """
from dmix import cli
for name in {figures!r}:
    assert cli.main(["figure", name, "--tier", "smoke", "--out", {folder!r}]) == 0
"""
INVENT = """
import sys
from pathlib import Path
sys.path.append(sys.argv[1])
from fabricated import fabricate
from small_figures import figure_grid
fabricate(figure_grid(Path(), "smoke"), Path("results/smoke/records"), rows=2)
"""
PAGE = (ROOT / "docs/figures.md").read_text()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose runs are invented, with a figure of each form."""
    project = Project.create(tmp_path_factory.mktemp("figures") / "project", params=figure_params())
    # In the project, whose code has other digests than that of a checkout with accepted equivalents.
    done = project.run(sys.executable, "-c", INVENT, str(ROOT / "tests/helpers"))
    assert done.returncode == 0, done.stderr
    return project


def digests(project: Project) -> dict[str, str]:
    done = project.run(sys.executable, "-c", DIGESTS)
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


def sums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def before(project):
    return digests(project)


def changed(project: Project, before: dict[str, str], file: str, old: str, new: str) -> set[str]:
    """The figures and tables whose digest an edit changes; the edit is undone."""
    project.edit(file, old, new)
    after = digests(project)
    project.edit(file, new, old)
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


@pytest.mark.slow
def test_two_processes_write_equal_bytes(project, tmp_path):
    for folder, figures in ((tmp_path / "one", FIGURES), (tmp_path / "other", FIGURES[::-1])):
        done = project.run(sys.executable, "-c", DRAW.format(folder=str(folder), figures=figures))
        assert done.returncode == 0, done.stderr
    assert sums(tmp_path / "one") == sums(tmp_path / "other")
    assert len(sums(tmp_path / "one")) == 5 * len(FIGURES)
    assert all("None of its runs" not in path.read_text() for path in (tmp_path / "one").glob("*.json"))
    for text in (b"CreationDate", b"Matplotlib", str(project.path).encode()):
        assert all(text not in path.read_bytes() for path in (tmp_path / "one").glob("*.p*"))


def test_the_code_of_a_form_is_its_figures_alone(project, before):
    cost = "src/dmix/figures/cost.py"
    assert changed(project, before, cost, "BETWEEN = 0.8", "BETWEEN = 0.9") == {"costs"}
    assert (
        changed(project, before, cost, '"""Draw policies side by side', '"""Set policies side by side')
        == set()
    )
    courses = "src/dmix/plot/courses.py"
    assert changed(project, before, courses, '["mean", "min", "max"]', '["mean", "max", "min"]') == {
        "course",
        "small",
    }
    assert changed(
        project, before, "src/dmix/plot/render.py", "source.canvas(1.0)", "source.canvas(1.1)"
    ) == {*FIGURES}


def test_the_style_and_the_family_of_a_policy_are_everyones(project, before):
    sheet = "src/dmix/plot/dmix.mplstyle"
    assert changed(project, before, sheet, "lines.linewidth: 1.1", "lines.linewidth: 1.2") == {*FIGURES}
    family = "mixup: {title: Mixup, kind: static, family: interpolation"
    edited = family.replace("interpolation", "cutting")
    assert {*FIGURES} <= changed(project, before, "params.yaml", family, edited)


def test_the_layout_of_a_table_is_in_the_figures_of_it(project, before):
    old, new = "small-scale image", "small image"
    assert changed(project, before, "params.yaml", old, new) == {"small", "forest", "table1"}


@pytest.mark.slow
def test_a_caption_draws_its_figure_alone_and_trains_nothing(project, tmp_path):
    shutil.copytree(project.path, tmp_path / "project", symlinks=True)
    here = Project(tmp_path / "project")
    done = here.snakemake("figures", "--quiet", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    here.edit("params.yaml", "title: Accuracy by eta", "title: Accuracy by the weight eta")
    done = here.snakemake("-n", "figures")
    assert done.returncode == 0, done.stdout + done.stderr
    rules = {
        line.split()[0] for line in done.stdout.splitlines() if line.strip().endswith("1") and "_" in line
    }
    assert rules == {"draw_swept"}


def test_ablations_of_the_embedded_tier_have_figures():
    """Each grid has four values of a setting, and Figure A1 a static and a dynamic policy on one data set."""
    grid = real_grid("embedded")
    kinds = set()
    for name in ("figure5", "figureA1"):
        here = [each for each in grid.figures[name].grids if each in grid.grids]
        assert len(here) >= 2, name
        for each in here:
            axes = [grid.runs[run].axes["policy"] for run in grid.grids[each]]
            assert len(axes) / len(set(axes)) >= 4, each
            kinds |= {(each, grid.params.policies[policy].kind) for policy in axes}
    assert {("eta_cub", "static"), ("eta_cub", "dynamic")} <= kinds


def test_the_example_of_the_page_draws(project, tmp_path):
    shutil.copytree(project.path, tmp_path / "project", symlinks=True)
    here = Project(tmp_path / "project")
    blocks = re.findall(r"(?ms)^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", PAGE)
    (form, code), (_, entry) = blocks
    (here.path / form).write_text(code)
    lines = entry.removeprefix("figures:\n")
    here.edit("params.yaml", "\nfigures:\n", f"\nfigures:\n{lines}")
    done = here.dmix("figure", "figureS_seeds", "--tier", "smoke", "--out", "out")
    assert done.returncode == 0, done.stderr
    about = json.loads((here.path / "out/figureS_seeds.json").read_text())
    assert about["alt"] == "Dots of 8 runs by cell."
    assert about["caption"].startswith("Accuracy of each seed. A dot is a run. ")
