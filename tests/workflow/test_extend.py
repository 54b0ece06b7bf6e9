"""docs/extend.md, done to the letter: its files are written, its entries added, its commands run."""

from __future__ import annotations

import csv
import json
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from project import ROOT, Project

PAGE = (ROOT / "docs/extend.md").read_text()
pytestmark = pytest.mark.slow
NUMBER = r"\d+\.\d\d"
# One process for all commands of a section: importing torch is what costs.
RUN_ALL = """
import contextlib, io, json, sys
from dmix import cli
results = []
for command in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = cli.main(command)
    results.append((command, status, out.getvalue()))
print(json.dumps(results))
"""
FOLDERS = (
    "import json; from dmix.grid.expand import load_grid; print(json.dumps(dict(load_grid('{}').folders)))"
)


@dataclass(frozen=True)
class Step:
    """What a section of the page brought about; its commands are run on the smoke tier."""

    before: dict[str, str]
    after: dict[str, str]
    outputs: dict[str, str]

    @property
    def new(self) -> set[str]:
        return self.after.keys() - self.before.keys()


def section(title: str) -> str:
    (text,) = [part for part in re.split(r"(?m)^## ", PAGE) if part.startswith(f"{title}\n")]
    return text


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)


def follow(project: Project, text: str, instead_of_make: str = "") -> Step:
    """Do what a section says. `make reproduce` stands for training all runs whose name matches a pattern."""
    before = folders(project)
    for code in blocks(text, "python"):
        path = project.path / code.splitlines()[0].removeprefix("# ")
        assert not path.exists()
        path.write_text(code)
    for entry in blocks(text, "yaml"):
        place, _, lines = entry.partition("\n")
        file, name = re.fullmatch(r"# (params[\w/]*\.yaml), in (\w+)", place).groups()
        project.edit(file, f"\n{name}:\n", f"\n{name}:\n{lines}")
    after = folders(project)
    commands = [line.removeprefix("$ ") for block in blocks(text, "console") for line in block.splitlines()]
    todo: list[list[str]] = []
    for command in commands:
        if command == "make reproduce":
            chosen = [name for name in after if re.fullmatch(instead_of_make, name)]
            todo += [["train", name, "--tier", "smoke"] for name in chosen]
            todo.append(["table", "table1", "--tier", "smoke"])
        else:
            program, *arguments = shlex.split(command)
            assert program == "dmix"
            todo.append([*arguments, "--tier", "smoke"])
    done = project.run(sys.executable, "-c", RUN_ALL, json.dumps(todo))
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(done.stdout)
    assert [status for _, status, _ in results] == [0] * len(todo), done.stderr
    return Step(before, after, {" ".join(command[:-2]): output for command, _, output in results})


def folders(project: Project, tier: str = "smoke") -> dict[str, str]:
    done = project.run(sys.executable, "-c", FOLDERS.format(tier))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, embedded_data: Path) -> Project:
    path = tmp_path_factory.mktemp("extend") / "project"
    return Project.create(path, embedded_data, params=(ROOT / "params.yaml").read_text())


@pytest.fixture(scope="module")
def policy(project: Project) -> Step:
    return follow(
        project, section("A mixup policy"), r"supervised/cifar100/\w+/vertical_concat/(mce|dm_ce)/s0"
    )


@pytest.fixture(scope="module")
def objective(policy: Step, project: Project) -> Step:
    return follow(project, section("An objective"))


@pytest.fixture(scope="module")
def layout(project: Project) -> Step:
    return follow(project, section("A table with other rows"))


@pytest.fixture(scope="module")
def optimizer(project: Project) -> Step:
    return follow(project, section("An optimiser and a schedule"))


def row(table: str, title: str) -> str:
    """Return the row of a title, in the first panel of a table that is too wide for one."""
    line, *_ = [line for line in table.splitlines() if line.startswith(f"{title} ")]
    return line


def test_the_policy_joins_the_grids_and_makes_no_run_stale(policy):
    assert policy.before.items() <= policy.after.items()
    assert all("/vertical_concat/" in name for name in policy.new)
    assert {
        f"supervised/cifar100/{backbone}/vertical_concat/{objective}/s0"
        for backbone in ("resnet18", "resnext50")
        for objective in ("mce", "dm_ce")
    } <= policy.new
    cells = {name.removeprefix("supervised/").partition("/vertical_concat/")[0] for name in policy.new}
    assert cells == {
        *(f"{data}/{net}" for data in ("cifar100", "tiny_imagenet") for net in ("resnet18", "resnext50")),
        *(f"imagenet/{net}" for net in ("resnet18", "resnet34", "resnet50", "deit_small", "swin_tiny")),
        *(f"{data}/{net}" for data in ("cub", "aircraft") for net in ("resnet18", "resnext50")),
        *("cifar10/resnet18", "cars/resnet18"),
    }
    planned = policy.outputs["plan --why"]
    assert all(f"  {name}: new\n" in planned for name in policy.new)


def test_the_policy_is_among_the_pictures(policy, project):
    shown = policy.outputs["show mixups --dataset cifar100"]
    assert "Vertical Concat" not in shown  # which says what is left out
    assert (project.path / shown.splitlines()[-1]).stat().st_size > 0


def test_the_policy_has_its_row_in_table_1(policy):
    table = policy.outputs["table table1"]
    assert len(re.findall(rf"{NUMBER}[* ]", row(table, "Vertical Concat"))) == 4
    (excerpt,) = blocks(PAGE, "text")
    headings = row(excerpt, "Policy").split()  # of the embedded tier, which has fewer networks
    assert headings == row(table, "Policy").split()[: len(headings)]
    assert re.findall(NUMBER, row(excerpt, "Vertical Concat"))


def test_the_objective_has_its_columns_in_table_1_and_makes_no_run_stale(objective):
    assert objective.before.items() <= objective.after.items()
    assert objective.new
    assert all("/brier/" in name for name in objective.new)
    table = objective.outputs["table table1"]
    assert row(table, "Policy").split().count("Brier") == 2
    assert len(re.findall(rf"{NUMBER}[* ]", row(table, "Vertical Concat"))) == 5


def test_a_table_by_network_is_an_entry_and_makes_no_run_new(layout, project):
    assert layout.before == layout.after
    table = layout.outputs["table tableX1"]
    assert row(table, "Backbone")
    networks = [line.partition("  ")[0] for line in table.splitlines() if line.startswith("ResNe")]
    assert set(networks) == {"ResNet-18", "ResNeXt-50 (32x4d)"}
    (comparison,) = project.path.glob("paper_tables/smoke/tableX1_comparison.csv")
    header, *lines = comparison.read_text().splitlines()
    assert header.startswith("dataset,backbone,policy,objective,mean,")
    (mixup,) = [line for line in lines if line.startswith("CIFAR-100,ResNet-18,Mixup,MCE,")]
    assert "79.12,,OpenMixup benchmark" in mixup


NAIVE = """
import numpy as np, torch
from dmix.objectives.brier import brier
from dmix.objectives.mce import mce
from dmix.policies.policy import Context, Draws
from dmix.policies.vertical_concat import VerticalConcat
from dmix.backbones.backbone import Backbone

torch.set_num_threads(1)
images, labels = torch.randn(6, 3, 5, 4), torch.arange(6)
context = Context(Backbone(), mce, 0, 1, lambda x: x)
for seed in range(20):
    draws = Draws(np.random.default_rng(seed), torch.Generator())
    mixed = VerticalConcat(alpha=1.0).mix(images, labels, draws, context)
    for i in range(6):
        kept = round(5 * float(mixed.lam[i]))
        assert abs(kept / 5 - mixed.lam[i]) < 1e-6
        for y in range(5):
            source = i if y < kept else int(mixed.y_b[i])
            assert torch.equal(mixed.images[i, :, y], images[source, :, y])
            assert bool(mixed.mask[i, 0, y].all()) == (y < kept)

logits, lam = torch.randn(6, 6), torch.rand(6)
loss = brier(logits, labels, labels.roll(2), lam)
for i in range(6):
    p = [float(z.exp() / logits[i].exp().sum()) for z in logits[i]]
    target = [0.0] * 6
    target[i] += float(lam[i])
    target[(i - 2) % 6] += 1 - float(lam[i])
    assert abs(sum((a - b) ** 2 for a, b in zip(p, target)) - float(loss[i])) < 1e-5
"""


def test_the_examples_compute_what_they_say(objective, project):
    done = project.run(sys.executable, "-c", NAIVE)
    assert done.returncode == 0, done.stderr


def test_the_examples_keep_the_house_style(objective, project):
    files = ("src/dmix/policies/vertical_concat.py", "src/dmix/objectives/brier.py")
    config = ("--config", str(ROOT / "pyproject.toml"))
    for check in (("check",), ("format", "--check")):
        done = project.run("ruff", *check, *config, *files)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_optimiser_and_the_schedule_train_a_run_and_make_none_stale(optimizer, project):
    name = "supervised/cifar100/resnet18/cutmix/dm_ce/optimizer=signum/schedule=linear/lr=0.001/s0"
    assert optimizer.before.items() <= optimizer.after.items()
    assert optimizer.new == {name}
    assert f"  {name}: new\n" in optimizer.outputs["plan --why"]
    folder = project.path / "results/smoke/runs" / optimizer.after[name]
    with (folder / "history.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    total = int(rows[-1]["step"])
    rates = {int(row["step"]): float(row["lr"]) for row in rows}
    assert rates == {step: 0.001 * (1 - (step - 1) / total) for step in rates}
    recipe = json.loads((folder / "record.json").read_text())["spec"]["recipe"]
    assert {key: recipe[key] for key in ("optimizer", "momentum", "schedule", "lr")} == {
        "optimizer": "signum",
        "momentum": 0.9,
        "schedule": "linear",
        "lr": 0.001,
    }
