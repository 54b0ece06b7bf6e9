"""The history of a run in progress has the rows of its trainer, whatever was killed before."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from dmix.engine.distributed import World
from dmix.grid.paths import RunPaths
from dmix.job import checkpoint
from dmix.job.options import Options
from dmix.job.session import KEYS, Session
from dmix.job.signals import Stop
from dmix.job.watch import Watch
from job.conftest import NAME

ROWS = [{"step": 2, "loss": 3.0}, {"step": 4, "loss": 2.0, "top1_model": 50.0}, {"step": 6, "loss": 1.0}]
LINES = ["step,loss,top1_model", "2,3.0,", "4,2.0,50.0", "6,1.0,"]


@pytest.fixture
def paths(tmp_path, monkeypatch) -> RunPaths:
    monkeypatch.chdir(tmp_path)
    paths = RunPaths("smoke", "a/s0-00000000-00000000")
    paths.work.mkdir(parents=True)
    return paths


class Trainer(SimpleNamespace):
    """Ends a row at every second step."""

    def load_state_dict(self, state):
        self.step, self.history = state["step"], list(ROWS[: state["step"] // 2])


def session(paths: RunPaths, rank: int = 0) -> Session:
    trainer = Trainer(step=0, total=6, label=NAME, history=[])
    second = SimpleNamespace(leads=False, agree=lambda *_: (0, False))
    return Session(trainer, paths, Options(), second if rank else World(0, 1), {})


def train(here: Session, last: int) -> None:
    """Take steps up to `last`."""
    for step in range(here.trainer.step + 1, last + 1):
        here.trainer.step = step
        if step % 2 == 0:
            here.trainer.history.append(ROWS[step // 2 - 1])
        assert here.after_step(Stop(), None)


def shown(paths: RunPaths) -> list[str]:
    return paths.live_history.read_text().splitlines()


def test_a_row_is_shown_when_it_ends_and_a_late_column_in_all_rows(paths):
    with session(paths) as here:
        train(here, 1)
        assert not paths.live_history.exists()
        train(here, 3)
        assert shown(paths) == ["step,loss", "2,3.0"]
        train(here, 4)
        assert shown(paths) == LINES[:3]
    assert [path.name for path in paths.work.iterdir()] == ["history.csv"]


@pytest.mark.parametrize("saved", [0, 2, 3, 4])
def test_a_killed_run_goes_on_with_the_rows_up_to_its_checkpoint(paths, saved):
    with session(paths) as here:
        train(here, 5)  # and is killed
    assert shown(paths) == LINES[:3]
    if saved:
        known = {"run": paths.folder, "trainer": {"step": saved}, "resumes": 0, "used": {}}
        known |= {"seconds": 1.0, "process_seconds": 1.0}
        checkpoint.save(paths.checkpoint, dict.fromkeys(KEYS, "") | known)
    again = session(paths)
    again.restore()
    with again:
        assert again.trainer.step == saved
        wanted = {0: None, 2: ["step,loss", "2,3.0"], 3: ["step,loss", "2,3.0"], 4: LINES[:3]}[saved]
        assert (shown(paths) if paths.live_history.exists() else None) == wanted
        train(again, 6)
        assert shown(paths) == LINES


def test_only_the_first_of_several_processes_writes(paths):
    with session(paths, rank=1) as here:
        train(here, 6)
    assert not list(paths.work.iterdir())


def test_lines_and_progress_file_have_epoch_accuracy_and_time_left(paths, monkeypatch, capsys):
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    trainer = SimpleNamespace(
        step=0,
        total=8,
        history=[],
        last_loss=None,
        device=torch.device("cpu"),
        course=SimpleNamespace(epoch=2),
    )
    with Watch(NAME, trainer, paths.progress) as watch:
        assert '"epoch":1,"epochs":4' in paths.progress.read_text()
        clock[0] += 10800.0
        trainer.step, trainer.history, trainer.last_loss = 4, ROWS[:2], 2.0
        watch.update()
        trainer.step = 8
        clock[0] += 60.0
        watch.update()
    assert capsys.readouterr().out.splitlines() == [
        f"{NAME}: epoch 3 of 4, top-1 50.00 %, loss 2.000, about 3 hours left",
        f"{NAME}: epoch 4 of 4, top-1 50.00 %, loss 2.000, less than a minute left",
    ]
    assert not list(paths.work.iterdir())


def test_a_recipe_that_counts_steps_has_no_epochs(paths, monkeypatch, capsys):
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    trainer = SimpleNamespace(
        step=0,
        total=8,
        history=[],
        last_loss=None,
        device=torch.device("cpu"),
        course=SimpleNamespace(epoch=0),
    )
    with Watch(NAME, trainer, paths.progress) as watch:
        clock[0] += 60.0
        trainer.step = 2
        watch.update()
    assert capsys.readouterr().out == f"{NAME}: step 2 of 8, about 3 minutes left\n"
