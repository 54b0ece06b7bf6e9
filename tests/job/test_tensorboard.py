"""Event files hold what history.csv holds."""

from __future__ import annotations

import csv
import json
import sys

import pytest

from job.conftest import NAME
from project import Project

READ = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1])
events.Reload()
print(json.dumps({t: [(e.step, e.value) for e in events.Scalars(t)] for t in events.Tags()["scalars"]}))
"""


def test_scalars_are_those_of_the_history(project: Project):
    done = project.dmix("train", NAME, "--tier", "smoke", "--device", "cpu", "--tensorboard", "board")
    assert done.returncode == 0, done.stderr
    found = json.loads(project.run(sys.executable, "-c", READ, f"board/{NAME}").stdout)
    history = project.path / "results/smoke/runs" / project.folder(NAME) / "history.csv"
    rows = list(csv.DictReader(history.read_text().splitlines()))
    assert set(found) == set(rows[0]) - {"epoch", "step"}
    for column, scalars in found.items():
        wanted = [(int(row["step"]), float(row[column])) for row in rows if row[column]]
        assert [step for step, _ in scalars] == [step for step, _ in wanted]
        assert [value for _, value in scalars] == pytest.approx([value for _, value in wanted], rel=1e-6)
