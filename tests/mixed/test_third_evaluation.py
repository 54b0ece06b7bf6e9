"""docs/evaluations.md, done to the letter: its one file is a kind for command, workflow and tests."""

from __future__ import annotations

import re
import sys

import pytest

from project import ROOT, Project

pytestmark = pytest.mark.slow
PAGE = (ROOT / "docs/evaluations.md").read_text()


def test_one_file_is_a_kind(tmp_path, embedded_data):
    ((place, text),) = re.findall(r"(?ms)^```python\n# (\S+)\n(.*?)^```$", PAGE)
    project = Project.create(tmp_path / "project", embedded_data)
    (project.path / place).write_text(text)

    told = project.dmix("evaluate", "--help")
    assert told.returncode == 0, told.stderr
    assert "--likelihood" in told.stdout
    assert "measures the mean negative log-likelihood" in " ".join(told.stdout.split())

    planned = project.snakemake("evaluate_likelihood", "-n")
    jobs = re.findall(r"(?m)^Job \d+: (\w+) (\S+)", planned.stdout + planned.stderr)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    runs = {name for what, name in jobs if what == "Evaluate"}
    assert runs == {name for name in project.planned() if name.startswith("supervised/")}

    tests = ROOT / "tests/mixed/test_every_evaluation.py"
    settings = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "-p", "no:cacheprovider")
    done = project.run(
        sys.executable, "-m", "pytest", "-q", *settings, str(tests), "-k", "likelihood", timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d\d passed", done.stdout)
