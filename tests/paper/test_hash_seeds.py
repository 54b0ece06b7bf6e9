"""What is rendered does not depend on the order of sets, which differs between processes."""

from __future__ import annotations

import os
import subprocess

import pytest

from dmix.grid.expand import load_grid
from dmix.grid.paths import RECORD
from dmix.record import read_record
from fabricated import fabricate
from project import BIN, ROOT

pytestmark = pytest.mark.slow

TIER = "embedded"
COMMANDS = (
    *("claims", "ledger", "page", "collect", "summary"),
    *("table table1", "table table5", "figure figureS_gains1", "figure figureS_cost"),
)
FILES = {"collect": "frame.csv"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a finished tier, whose runs took times that add up to another sum in another order."""
    folder = tmp_path_factory.mktemp("seeds")
    for name in ("params.yaml", "params", "reference"):
        (folder / name).symlink_to(ROOT / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        grid = load_grid(TIER)
        records = folder / "results" / TIER / "records"
        fabricate(grid, records)
        for number, path in enumerate(grid.places.values()):
            file = records / path / RECORD
            read_record(file).model_copy(update={"seconds": 0.1 + number / 7}).write(file)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_every_rendering_is_the_same_in_every_process(place, command):
    rendered = []
    for seed in ("1", "2", "3"):
        out = place / f"{command.replace(' ', '-')}-{seed}"
        target = out / FILES.get(command, "")
        done = subprocess.run(
            [BIN / "dmix", *command.split(), "--tier", TIER, "--out", target],
            cwd=place,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        rendered.append({str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()})
    assert rendered[0]
    assert rendered[0] == rendered[1] == rendered[2]
