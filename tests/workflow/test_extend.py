"""docs/extend.md, done to the letter: its files are written, its entries added, its commands run."""

from __future__ import annotations

import csv
import itertools
import json
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from project import ROOT, Project

PAGE = (ROOT / "docs/extend.md").read_text()
TITLES = re.findall(r"(?m)^## (.+)\n\n\*", PAGE)
MIXED = (
    *("mixup", "cutmix", "manifoldmix", "saliencymix", "fmix", "resizemix"),
    *("puzzlemix", "automix", "samix", "vertical_concat"),
)
LOOKING = (
    *(f"tests/grid/test_{name}.py" for name in ("recipes", "grid_doc", "expand", "cost", "init", "tiers")),
    *(f"tests/grid/test_{name}.py" for name in ("editor_schema", "params_size", "small_params")),
    *("tests/math/test_loss_class_terms.py", "tests/models/test_backbone_contract.py"),
    "tests/report/test_report_compare.py",
)
CONTRACTS = ("tests/contracts", "-k", "vertical_concat or brier or signum or linear or pi_model or timm")
pytestmark = pytest.mark.slow
NUMBER = r"\d+\.\d\d"
# One process for all commands of a section: importing torch is what costs.
RUN_ALL = """
import contextlib, io, json, sys
from dmix import cli
from dmix.grid.expand import load_grid
results = []
for command in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = cli.main(command)
    results.append((status, out.getvalue()))
print(json.dumps((dict(load_grid("smoke").folders), results)))
"""
COUNTS = {1: "One", 2: "Two"}


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


def changes(text: str) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """Return a section's new files, path -> text, and its entries: file, section of it, lines."""
    files, entries = {}, []
    for block in [*blocks(text, "python"), *blocks(text, "yaml")]:
        place, _, lines = block.partition("\n")
        if found := re.fullmatch(r"# (params[\w/]*\.yaml), in (\w+)", place):
            entries.append((*found.groups(), lines))
        else:
            files[place.removeprefix("# ")] = block
    return files, entries


def follow(project: Project, title: str, before: dict[str, str], instead_of_make: Sequence[str] = ()) -> Step:
    """Do what a section says. `make reproduce` stands for training some runs."""
    text = section(title)
    files, entries = changes(text)
    for path, content in files.items():
        assert not (project.path / path).exists()
        (project.path / path).write_text(content)
    for file, name, lines in entries:
        project.edit(file, f"\n{name}:\n", f"\n{name}:\n{lines}")
    done: list[str] = []
    for line in "".join(blocks(text, "console")).splitlines():
        program, _, command = line.removeprefix("$ ").partition(" ")
        if program == "make":
            done += [*(f"train {name}" for name in instead_of_make), "table table1"]
        else:
            assert program == "dmix"
            done.append(command)
    todo = [
        [*shlex.split(command), *([] if command.startswith("data ") else ["--tier", "smoke"])]
        for command in done
    ]
    ran = project.run(sys.executable, "-c", RUN_ALL, json.dumps(todo), timeout=900)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    after, results = json.loads(ran.stdout)
    assert [status for status, _ in results] == [0] * len(todo), ran.stderr
    return Step(before, after, {command: out for command, (_, out) in zip(done, results, strict=True)})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, embedded_data: Path) -> Project:
    """A project with the repository's parameters, to which one example after the other is added."""
    path = tmp_path_factory.mktemp("extend") / "project"
    project = Project.create(path, params=(ROOT / "params.yaml").read_text())
    (path / "data").mkdir()
    (path / "data/embedded").symlink_to(embedded_data / "embedded")
    return project


@pytest.fixture(scope="module")
def policy(project: Project) -> Step:
    done = project.run(sys.executable, "-c", RUN_ALL, "[]")
    assert done.returncode == 0, done.stderr
    before, _ = json.loads(done.stdout)
    networks = itertools.product(("resnet18", "resnext50"), ("mce", "dm_ce"))
    runs = [f"supervised/cifar100/{net}/vertical_concat/{objective}/s0" for net, objective in networks]
    return follow(project, "A mixup policy", before, runs)


@pytest.fixture(scope="module")
def objective(policy: Step, project: Project) -> Step:
    return follow(project, "An objective", policy.after)


@pytest.fixture(scope="module")
def dataset(objective: Step, project: Project) -> Step:
    drawn = np.random.default_rng(0)
    for split, count in (("train", 30), ("val", 10)):
        for name in ("crow", "dove", "duck", "hawk"):
            folder = project.path / "data/real/birds" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = drawn.integers(256, size=(40, 48, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.jpg")
    return follow(project, "A data set", objective.after)


@pytest.fixture(scope="module")
def backbone(dataset: Step, project: Project) -> Step:
    return follow(project, "A backbone from timm", dataset.after)


@pytest.fixture(scope="module")
def method(backbone: Step, project: Project) -> Step:
    return follow(project, "A semi-supervised method", backbone.after)


@pytest.fixture(scope="module")
def optimizer(method: Step, project: Project) -> Step:
    return follow(project, "An optimiser and a schedule", method.after)


@pytest.fixture(scope="module")
def layout(optimizer: Step, project: Project) -> Step:
    return follow(project, "A table with other rows", optimizer.after)


@pytest.fixture
def step(request: pytest.FixtureRequest) -> Step:
    return request.getfixturevalue(request.param)


def trained(project: Project, step: Step, name: str) -> dict[str, Any]:
    """Return the record of a run."""
    return json.loads((project.path / "results/smoke/records" / step.after[name] / "record.json").read_text())


def row(table: str, title: str) -> str:
    """Return the row of a title, in the first panel of a table that is too wide for one."""
    line, *_ = [line for line in table.splitlines() if line.startswith(f"{title} ")]
    return line


@pytest.mark.parametrize(
    "step",
    ["policy", "objective", "dataset", "backbone", "method", "optimizer"],
    indirect=True,
)
def test_an_example_makes_runs_new_and_none_stale(step):
    assert step.new
    assert step.before.items() <= step.after.items()
    planned = step.outputs["plan --why"]
    assert all(f"  {name}: new\n" in planned for name in step.new)
    assert not re.search(r"(?m)^  \S+: (?!new$)", planned)


@pytest.mark.parametrize("title", TITLES)
def test_an_example_says_how_many_lines_it_takes(title):
    files, entries = changes(section(title))
    parts = [path for path in files if path.startswith("src/")]
    assert len(files) <= max(1, len(parts))
    said = []
    if files:
        counts = [str(len(text.splitlines())) for text in files.values()]
        said.append(f"{COUNTS[len(files)]} file{'s' * (len(files) > 1)} of {' and '.join(counts)} lines")
    for *_, lines in entries:
        count = len(lines.splitlines())
        said.append(f"one entry of {count} line{'s' * (count > 1)}")
    assert section(title).startswith(f"{title}\n\n*{', '.join(said)}.*")


def test_the_policy_joins_the_grids(policy):
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


def test_the_objective_has_its_columns_in_table_1(objective):
    assert all("/brier/" in name for name in objective.new)
    table = objective.outputs["table table1"]
    assert row(table, "Policy").split().count("Brier") == 2
    assert len(re.findall(rf"{NUMBER}[* ]", row(table, "Vertical Concat"))) == 5


def test_the_data_set_is_trained_with_every_policy_on_its_own_images(dataset, project):
    assert "birds: 120 train and 40 test images of 4 classes" in dataset.outputs["data verify birds"]
    runs = {f"{policy}/{objective}" for policy in MIXED for objective in ("mce", "dm_ce", "brier")}
    assert dataset.new == {f"supervised/birds/resnet18/{run}/s0" for run in {*runs, "vanilla/ce"}}
    record = trained(project, dataset, "supervised/birds/resnet18/cutmix/dm_ce/s0")
    assert record["data_edition"] == "real"
    assert len(re.findall(NUMBER, row(dataset.outputs["table tableX1"], "CutMix"))) == 1


def test_the_network_of_timm_is_trained_with_every_policy(backbone, project):
    runs = {f"{policy}/{objective}" for policy in MIXED for objective in ("mce", "dm_ce", "brier")}
    assert backbone.new == {f"supervised/imagenet/convnext_tiny/{run}/s0" for run in {*runs, "vanilla/ce"}}
    record = trained(project, backbone, "supervised/imagenet/convnext_tiny/manifoldmix/dm_ce/s0")
    assert record["spec"]["backbone"]["name"] == "test_convnext"
    assert len(re.findall(NUMBER, row(backbone.outputs["table tableX2"], "ManifoldMix"))) == 1


def test_the_method_has_its_row_in_table_7(method, project):
    counts = {"cifar10/wrn28_2": (20, 100), "cifar100/wrn28_8": (100, 200, 400)}
    assert method.new == {
        f"semi/pi_model/{place}/vanilla/ce/count={count}/s0"
        for place, numbers in counts.items()
        for count in numbers
    }
    trained(project, method, "semi/pi_model/cifar10/wrn28_2/vanilla/ce/count=100/s0")
    found = row(method.outputs["table table7"], "Pi-model")
    assert re.match(r"Pi-model +CE \+ Con ", found)
    assert len(re.findall(NUMBER, found)) == 1


def test_a_table_by_network_is_an_entry_and_makes_no_run_new(layout, project):
    assert layout.before == layout.after
    table = layout.outputs["table tableX3"]
    assert row(table, "Backbone")
    networks = [line.partition("  ")[0] for line in table.splitlines() if line.startswith("ResNe")]
    assert set(networks) == {"ResNet-18", "ResNeXt-50 (32x4d)"}
    (comparison,) = project.path.glob("paper_tables/smoke/tableX3_comparison.csv")
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
NAIVE_PI_MODEL = """
import copy, sys
import torch
sys.path[:0] = sys.argv[1:]
from small_semi import HOSTS, Method, doubled, make_loader, make_task, step_at
from dmix.methods.semi.pi_model import PiModel

HOSTS["pi_model"] = (PiModel, {"weight": 10.0, "ramp": 0.4}, 1)
method = Method("pi_model")
task, batch = make_task(method).double(), doubled(make_loader(method).batch(0))
model, weight = copy.deepcopy(task), task.head.weight
found = task.losses(batch, step_at(8, 40))  # half of the ramp

first, second = (model.head(model.encoder(view)).softmax(1) for view in batch.unlabelled.images)
rows, classes = first.shape
error = 0.0
for i in range(rows):
    for c in range(classes):
        error = error + (second[i, c] - first[i, c].detach()) ** 2
expected = 0.5 * 10.0 * error / (rows * classes)
assert float(expected.detach()) > 1e-3
assert abs(float((found["consistency"] - expected).detach())) < 1e-12
(ours,) = torch.autograd.grad(found["consistency"], weight)
(theirs,) = torch.autograd.grad(expected, model.head.weight)
assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-12)
logits = model.head(model.encoder(batch.labelled.images[0])).detach()
labels = batch.labelled.labels.tolist()
ce = -sum(float(row.log_softmax(0)[label]) for row, label in zip(logits, labels)) / len(labels)
assert abs(float(found["ce"].detach()) - ce) < 1e-12
assert {int(v) for k, v in task.state_dict().items() if k.endswith("num_batches_tracked")} == {1}
assert task.losses(batch, step_at(0, 40))["consistency"] == 0
"""


def test_the_examples_compute_what_they_say(objective, project):
    done = project.run(sys.executable, "-c", NAIVE)
    assert done.returncode == 0, done.stderr


def test_the_pi_model_computes_what_it_says(method, project):
    done = project.run(sys.executable, "-c", NAIVE_PI_MODEL, str(ROOT / "tests/helpers"))
    assert done.returncode == 0, done.stderr


def test_the_examples_keep_the_house_style(layout, project):
    files = [path for title in TITLES for path in changes(section(title))[0] if path.startswith("src/")]
    assert len(files) == 5
    config = ("--config", str(ROOT / "pyproject.toml"))
    for check in (("check",), ("format", "--check")):
        done = project.run("ruff", *check, *config, *files)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_optimiser_and_the_schedule_train_a_run(optimizer, project):
    name = "supervised/cifar100/resnet18/cutmix/dm_ce/optimizer=signum/schedule=linear/lr=0.001/s0"
    assert optimizer.new == {name}
    folder = project.path / "results/smoke/records" / optimizer.after[name]
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


@pytest.fixture(scope="module")
def checkout(layout: Step, project: Project) -> Project:
    """The project with the repository's tests as they stand."""
    for name in ("tests", "docs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, project.path / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", project.path)
    return project


@pytest.mark.parametrize("tests", [LOOKING, CONTRACTS], ids=["parameters", "contracts"])
def test_the_repositorys_tests_are_green_with_all_examples(tests, checkout):
    """Those that read the parameters, and the contracts of the parts that the examples add."""
    done = checkout.run(sys.executable, *("-m", "pytest", "-q", "-x", "-n", "0"), *tests, timeout=900)
    assert done.returncode == 0, done.stdout
