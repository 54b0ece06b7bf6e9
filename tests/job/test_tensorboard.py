"""Event files hold what history.csv holds, each point once, whatever was killed and resumed."""

from __future__ import annotations

import csv
import json
import signal
import sys

import pytest

from dmix.job.board import Board
from job.conftest import NAME
from job.test_resume import EVERY_STEP, wait_for_step
from project import Project

READ = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1])
events.Reload()
print(json.dumps({t: [(e.step, e.value) for e in events.Scalars(t)] for t in events.Tags()["scalars"]}))
"""
TRAIN = ("dmix", "train", NAME, "--tier", "smoke", "--device", "cpu", "--tensorboard", "board")


def points(project: Project) -> dict[str, list[list[float]]]:
    done = project.run(sys.executable, "-c", READ, f"board/{NAME}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_points_of_history(project: Project) -> None:
    found = points(project)
    history = project.path / "results/smoke/records" / project.folder(NAME) / "history.csv"
    rows = list(csv.DictReader(history.read_text().splitlines()))
    assert set(found) == set(rows[0]) - {"epoch", "step"}
    for column, scalars in found.items():
        wanted = [(int(row["step"]), float(row[column])) for row in rows if row[column]]
        assert [step for step, _ in scalars] == [step for step, _ in wanted]
        assert [value for _, value in scalars] == pytest.approx([value for _, value in wanted], rel=1e-6)


def test_scalars_are_those_of_the_history(project: Project):
    done = project.run(*TRAIN)
    assert done.returncode == 0, done.stderr
    assert_points_of_history(project)


@pytest.mark.slow
def test_a_killed_run_that_goes_on_has_each_point_once(long_project: Project):
    process = long_project.start(*TRAIN, *EVERY_STEP)
    wait_for_step(long_project, process, 110)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert points(long_project)  # while it is in progress
    # From the start, as one that was killed before its first checkpoint: every row comes again.
    (long_project.path / "work/smoke" / long_project.folder(NAME) / "checkpoint.pt").unlink()
    process = long_project.start(*TRAIN, *EVERY_STEP)
    wait_for_step(long_project, process, 50)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = long_project.run(*TRAIN)
    assert "continuing at step" in done.stdout
    assert_points_of_history(long_project)


def test_a_folder_that_cannot_be_written_ends_no_run_and_is_told_once(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    board = Board(tmp_path / "file", NAME, 0)
    board.add({"step": 1, "loss": 0.5})
    board.close()
    assert capsys.readouterr().out == (
        f"{NAME}: cannot write event files to {tmp_path / 'file' / NAME}: Not a directory; "
        "the run goes on without them\n"
    )
