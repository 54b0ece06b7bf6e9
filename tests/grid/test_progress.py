"""How far a run is, in words."""

from __future__ import annotations

import pytest

from dmix.grid.progress import Progress, duration, read_progress


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (29.9, "less than a minute"),
        (30, "about a minute"),
        (89, "about a minute"),
        (91, "about 2 minutes"),
        (60 * 59, "about 59 minutes"),
        (60 * 89, "about 89 minutes"),
        (60 * 91, "about 2 hours"),
        (3600 * 3.4, "about 3 hours"),
        (3600 * 35, "about 35 hours"),
        (3600 * 37, "about 2 days"),
        (86400 * 20.6, "about 21 days"),
    ],
)
def test_a_duration_is_told_in_the_largest_unit_of_which_there_are_two(seconds, words):
    assert duration(seconds) == words


def test_epochs_are_told_where_there_are_any_and_what_is_unknown_is_left_out():
    where = {"step": 7, "total": 100, "host": "node1", "pid": 1}
    assert str(Progress(**where)) == "step 7 of 100"
    known = {"epoch": 3, "epochs": 12, "accuracy": 45.2, "loss": 1.25, "seconds_left": 10800.0}
    assert str(Progress(**where, **known)) == "epoch 3 of 12, top-1 45.20 %, loss 1.250, about 3 hours left"


def test_what_was_written_is_read_and_a_damaged_file_is_none(tmp_path):
    path = tmp_path / "progress.json"
    assert read_progress(path) is None
    said = Progress(step=7, total=100, loss=1.25, host="node1", pid=1)
    path.write_text(said.model_dump_json())
    assert read_progress(path) == said
    for damaged in ("", "{}", '{"step": "7", "total": 100, "host": "a", "pid": 1}'):
        path.write_text(damaged)
        assert read_progress(path) is None
