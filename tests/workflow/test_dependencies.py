"""pyproject.toml requires what is imported or called, and nothing else; requirements.lock pins all of it."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from project import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# What no import statement names: the file or folder that uses it, and how.
CALLED = {
    "torchvision": ("src", 'import_module("torchvision")'),
    "timm": ("src", 'import_module("timm")'),
    "gco-wrapper": ("src", 'import_module("gco")'),
    "tensorboard": ("src", "from torch.utils.tensorboard import"),
    "dvc-s3": ("docs/results.md", "s3://BUCKET"),
    "dvc-ssh": ("docs/results.md", "ssh://USER"),
    "moto": ("tests", "moto.server"),
    "flask": ("tests", "moto.server"),
    "flask-cors": ("tests", "moto.server"),
    "snakemake": ("Makefile", "snakemake --profile"),
    "snakemake-executor-plugin-slurm": ("workflows/profiles/slurm/config.yaml", "executor: dmix-slurm"),
    "snakemake-executor-plugin-kubernetes": (
        "workflows/kubernetes",
        "from snakemake_executor_plugin_kubernetes import",
    ),
    "snakemake-logger-plugin-rich": ("Makefile", "--logger rich"),
    "dvc": ("dvc.yaml", "stages:"),
    "pytest-xdist": ("Makefile", "pytest -q -n"),
    "ruff": ("Makefile", "ruff check"),
    "mypy": ("Makefile", "mypy"),
    "types-pyyaml": ("src", "import yaml"),
    "pandas-stubs": ("src", "import pandas"),
    "import-linter": ("Makefile", "lint-imports"),
    "snakefmt": ("Makefile", "snakefmt"),
    "pre-commit": ("CONTRIBUTING.md", "pre-commit install"),
}


def names(lines: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in lines}


PROJECT = PYPROJECT["project"]
RUN = PROJECT["dependencies"]
EXTRAS = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
GROUPS = PYPROJECT["dependency-groups"]


def imported(folder: str) -> set[str]:
    """Return the distributions that the modules of a folder import."""
    modules = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                modules.add((node.module or "").partition(".")[0])
    owners = packages_distributions()
    found = {
        canonicalize_name(owners[name][0]) for name in modules - sys.stdlib_module_names if name in owners
    }
    return found - {"dmix"}


@pytest.mark.parametrize("folder", ["src", "benchmarks", "tests"])
def test_what_is_imported_is_required(folder):
    required = names(RUN + GROUPS["test"]) if folder == "tests" else names(RUN)
    assert imported(folder) <= required


@pytest.mark.parametrize(
    ("required", "folder"),
    [(RUN, "src"), (EXTRAS, "src"), (GROUPS["test"], "tests"), (GROUPS["lint"], "tests")],
)
def test_what_is_required_is_used(required, folder):
    for name in names(required) - imported(folder):
        place, text = CALLED[name]
        files = [ROOT / place, *(ROOT / place).rglob("*.py")]
        assert any(text in path.read_text() for path in files if path.is_file()), name


def test_every_requirement_has_a_range_and_a_pin_inside_it():
    lines = (ROOT / "requirements.lock").read_text().split()
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    for line in [*RUN, *EXTRAS, *GROUPS["test"], *GROUPS["lint"]]:
        requirement = Requirement(line)
        assert len(requirement.specifier) > 0, line
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), line
