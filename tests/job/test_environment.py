"""Whatever notebooks, containers and batch nodes set or lack, the commands work, and doctor names it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dmix.environment import settle, troubles
from job.conftest import NAME
from project import ROOT, Project

NOWHERE = "/dev/null/nowhere"  # it is not there and cannot be made, not even by root
# Variables to set, or to leave out where the value is None, together: what one breaks shows in the output.
HOSTILE: dict[str, dict[str, str | None]] = {
    "a batch node": {
        "HOME": NOWHERE,
        "USER": None,
        "LOGNAME": None,
        "LANG": None,
        "LC_ALL": "C",
        "TERM": None,
        "TMPDIR": NOWHERE,
        "PYTHONIOENCODING": "ascii",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "WORLD_SIZE": "4",
        "RANK": "0",
        "MASTER_ADDR": "node1",
        "LOCAL_WORLD_SIZE": "",
        "OMP_NUM_THREADS": "",
        "MKL_NUM_THREADS": "0",
        "CUDA_VISIBLE_DEVICES": "NoDevFiles",
        "TZ": "Mars/Base",
        "GIT_DIR": NOWHERE,
    },
    "a notebook": {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONWARNINGS": "error",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SNAKEMAKE_PROFILE": "nowhere",
        "NO_COLOR": "1",
        "FORCE_COLOR": "1",
        "COLUMNS": "abc",
        "LINES": "0",
        "OMP_NUM_THREADS": "all",
        "CUDA_VISIBLE_DEVICES": "-1",
        "JPY_PARENT_PID": "1",
        "LC_ALL": "en_US.ISO-8859-1",
        "PYTHONUTF8": "0",
    },
    "a container": {
        **{f"XDG_{kind}": NOWHERE for kind in ("CACHE_HOME", "CONFIG_HOME", "DATA_HOME", "STATE_HOME")},
        "XDG_RUNTIME_DIR": NOWHERE,
        "TORCH_HOME": NOWHERE,
        "HF_HOME": NOWHERE,
        "MPLCONFIGDIR": NOWHERE,
        "PYTHONPYCACHEPREFIX": NOWHERE,
        "PYTHONOPTIMIZE": "2",
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": "0",
        "TERM": "dumb",
        "OMP_NUM_THREADS": "-3",
        "LD_LIBRARY_PATH": NOWHERE,
        "SHELL": "",
    },
}
COMMANDS = (
    ("dmix", "train", NAME, "--tier", "smoke", "--preload"),
    ("dmix", "plan", "--tier", "smoke"),
    ("dmix", "status", "--tier", "smoke"),
    ("dmix", "table", "table1", "--tier", "smoke"),
    ("snakemake", "--profile", "workflows/profiles/local", "-n", "--quiet", "--config", "tier=smoke"),
)


def environment(project: Project, changes: dict[str, str | None]) -> dict[str, str]:
    together = {**project.environment, "TMPDIR": str(project.path), **changes}
    return {name: value for name, value in together.items() if value is not None}


def run(project: Project, hostile: str, *command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command,
        cwd=project.path,
        env=environment(project, HOSTILE[hostile]),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=200,
    )


@pytest.mark.slow
@pytest.mark.parametrize("hostile", HOSTILE)
def test_commands_work_in_a_hostile_environment(project: Project, hostile):
    drawing = ("dmix", "show", "mixups", "--dataset", "cifar10", "--tier", "smoke")
    for command in (*COMMANDS, drawing) if "MPLBACKEND" in HOSTILE[hostile] else COMMANDS:
        done = run(project, hostile, *command)
        said = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode == 0, f"{' '.join(command)}: {said}"
        assert "Traceback" not in said, said
        assert "without the preloaded helper" not in said, said
    (record,) = project.path.glob("results/**/record.json")
    assert json.loads(record.read_text())["name"] == NAME
    status = run(project, hostile, "dmix", "status", "--tier", "smoke", "--json")
    assert NAME in {
        name
        for table in json.loads(status.stdout)["tables"].values()
        for name, run in table.items()
        if run["state"] == "done"
    }


@pytest.mark.parametrize(
    ("changes", "name", "command"),
    [
        ({"HOME": NOWHERE}, "home", "export HOME="),
        ({"XDG_CACHE_HOME": NOWHERE}, "XDG_CACHE_HOME", "unset XDG_CACHE_HOME"),
        ({"DVC_SITE_CACHE_DIR": NOWHERE}, "DVC_SITE_CACHE_DIR", "unset DVC_SITE_CACHE_DIR"),
        ({"TMPDIR": NOWHERE}, "TMPDIR", "unset TMPDIR"),
        ({"WORLD_SIZE": "4"}, "WORLD_SIZE", "unset WORLD_SIZE RANK"),
        ({"PYTHONOPTIMIZE": "1"}, "PYTHONOPTIMIZE", "unset PYTHONOPTIMIZE"),
        ({"SNAKEMAKE_PROFILE": "mine"}, "SNAKEMAKE_PROFILE", "unset SNAKEMAKE_PROFILE"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_doctor_names_what_other_programs_stumble_over(monkeypatch, changes, name, command):
    for variable, value in changes.items():
        monkeypatch.setenv(variable, value)
    (found,) = [each for each in troubles() if each.name == name]
    assert command in found.command


def test_an_ordinary_environment_has_no_trouble(monkeypatch, tmp_path):
    for variable in list(os.environ):
        if variable.startswith(("XDG_", "DVC_", "WORLD", "SNAKEMAKE", "TMPDIR", "TORCH_HOME")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [found for found in troubles() if found.name != "encoding"] == []


def test_what_a_terminal_cannot_show_is_written_all_the_same():
    before = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT / "src")}
    code = "import sys; from dmix.environment import settle; settle(); print('81.2 \\u00b1 0.3')"
    done = subprocess.run([sys.executable, "-c", code], env=before, capture_output=True, text=True)
    assert done.stdout == "81.2 \\xb1 0.3\n", done.stderr


def test_settling_is_done_once_and_for_all(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "QtAgg")
    settle()
    settle()
    assert os.environ["MPLBACKEND"] == "agg"


def test_make_finds_a_home_where_there_is_none(tmp_path: Path):
    """Snakemake, DVC and uv start before any code of ours, so the place is made by make."""
    (tmp_path / "Makefile").write_text(
        (ROOT / "Makefile").read_text() + '\nwhere:\n\t@echo "$$HOME"; test -w "$$HOME"\n'
    )
    for home in (NOWHERE, "", None):
        place = {k: v for k, v in os.environ.items() if k != "HOME"} | (
            {} if home is None else {"HOME": home}
        )
        done = subprocess.run(
            ["make", "-s", "where"], cwd=tmp_path, env=place, capture_output=True, text=True
        )
        assert done.stdout.strip() == str(tmp_path / "work/home"), done.stderr
    writable = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(["make", "-s", "where"], cwd=tmp_path, env=writable, capture_output=True, text=True)
    assert done.stdout.strip() == str(tmp_path)
