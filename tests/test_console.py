"""What `dmix status` shows of a survey: lines when piped, a live picture on a terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from dmix.console.live import watch
from dmix.console.overview import overview
from dmix.console.plain import lines
from dmix.console.since import moment
from dmix.console.view import show, view
from dmix.errors import DmixError
from dmix.grid.failure import Failure
from dmix.grid.finished import Outcome
from dmix.grid.progress import Progress
from dmix.grid.status import RunStatus
from dmix.grid.survey import Survey

PROGRESS = Progress(
    step=70,
    total=100,
    epoch=7,
    epochs=10,
    loss=1.25,
    accuracy=61.5,
    seconds_left=3 * 3600,
    host="node7",
    pid=1,
    device="NVIDIA A100, GPU 3",
)
RUNS = (
    RunStatus("r/done/s0", "done"),
    RunStatus("r/older/s0", "done"),
    RunStatus("r/busy/s0", "running", "epoch 7 of 10, on node7", None, PROGRESS),
    RunStatus("r/starts/s0", "running", "starting"),
    RunStatus("r/broken/s0", "failed", "it broke", Failure("it broke", ("do this",), log="work/log.txt")),
    RunStatus("r/next/s0", "missing"),
    RunStatus("r/blocked/s0", "blocked", "run dmix data fetch cub"),
)
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
FINISHED = {
    "r/done/s0": Outcome("", 7200.0, 2, 81.25, "2026-11-28T11:00:00+00:00", "NVIDIA A100"),
    "r/older/s0": Outcome("", 3600.0, 1, 50.0, "2026-11-20T11:00:00+00:00", "cpu"),
}
HOURS = {run.name: 5.0 for run in RUNS}
PARTS = {"table1": [run.name for run in RUNS[:4]], "table2": [run.name for run in RUNS[3:]]}


def found(runs=RUNS, **more):
    return overview("full", PARTS, Survey({run.name: run for run in runs}, FINISHED), HOURS, **more)


def drawn(text, height=None, width=200):
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    console.print(view(text, height))
    return console.file.getvalue()


def test_hours_used_are_those_of_all_devices_and_hours_left_are_the_runs_own_where_they_know():
    here = found()
    assert here.used_hours == 2 * 2 + 1
    # 3 hours of the run that says so; 5 each of one that starts, a failed and a missing one
    assert here.left_hours == 3 + 3 * 5
    assert here.hours == "5.0 device hours used, about 18.0 left: about 9 hours with 2 runs at a time"


def test_lines_when_piped():
    text = list(lines(found()))
    assert text[0] == "full table1: 2 done, 2 running, 0 failed, 0 missing, 0 blocked of 4"
    assert "1 blocked: run dmix data fetch cub" in text
    assert "running: r/busy/s0: epoch 7 of 10, on node7" in text
    assert "failed: r/broken/s0: it broke\n  do this\n  log: work/log.txt" in text
    assert not any("finished" in line for line in text)


def test_a_picture_has_epoch_accuracy_time_host_and_device_of_each_run_and_the_reason_of_failures():
    text = drawn(found())
    (busy,) = [line for line in text.splitlines() if "r/busy/s0" in line]
    for part in ("7 of 10", "61.50", "1.250", "about 3 hours", "node7", "NVIDIA A100, GPU 3"):
        assert part in busy
    for part in ("table1", "2 running", "starting", "it broke", "do this", "log: work/log.txt", "5.0 device"):
        assert part in text


def test_a_live_picture_is_no_taller_than_the_terminal():
    busy = tuple(replace(RUNS[2], name=f"r/busy/s{seed}") for seed in range(100))
    broken = tuple(RunStatus(f"r/b/s{seed}", "failed", "x", Failure("x")) for seed in range(100))
    runs = (*RUNS, *busy, *broken)
    here = overview(
        "full",
        PARTS,
        Survey({run.name: run for run in runs}, FINISHED),
        dict.fromkeys(HOURS, 1.0) | {run.name: 1.0 for run in runs},
    )
    text = drawn(here, height=30)
    assert len(text.splitlines()) <= 30
    assert "more: dmix status --once" in text
    assert "r/busy/s99" in drawn(here)


def test_since_lists_what_finished_and_failed_since():
    since = NOW - timedelta(hours=2)
    here = found(since=since, failed_at={"r/broken/s0": since.timestamp() + 1})
    assert [name for name, _ in here.recent()] == ["r/done/s0"]
    assert (
        "finished: r/done/s0: top-1 81.25 %, about 2 hours on NVIDIA A100, 2026-11-28T11:00:00+00:00"
        in list(lines(here))
    )
    assert here.of("failed")
    assert here.used_hours == 5  # in all
    assert "finished since 2026-11-28 10:00 UTC: 1" in drawn(here)
    older = found(since=since, failed_at={"r/broken/s0": since.timestamp() - 1})
    assert not older.of("failed")
    assert older.counts["table2"]["failed"] == 1  # still counted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", NOW - timedelta(minutes=90)),
        ("1.5h", NOW - timedelta(minutes=90)),
        ("3d", NOW - timedelta(days=3)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-11-27T10:00+02:00", datetime(2026, 11, 27, 8, tzinfo=UTC)),
        ("2026-11-27", datetime(2026, 11, 27).astimezone(UTC)),
    ],
)
def test_times_as_people_write_them(text, expected):
    assert moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "3", "3x", "-1h", "2026-13-01", "0001-01-01T00:00+20:00"])
def test_no_time(text):
    with pytest.raises(DmixError, match="is no time"):
        moment(text, NOW)


def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=200, height=40, color_system=None)


def test_watching_ends_when_nothing_runs_any_more():
    states = [found(), found(), found()]
    parts = {"table1": [run.name for run in RUNS[:2]]}
    states[2] = overview("full", parts, Survey({run.name: run for run in RUNS[:2]}, FINISHED), HOURS)
    looks, naps, console = iter(states), [], terminal()
    last = watch(lambda: next(looks), console, naps.append)
    assert last is states[2]
    assert len(naps) == 2
    assert min(naps) >= 2
    assert "r/busy/s0" in console.file.getvalue()


def test_ctrl_c_ends_watching_and_leaves_the_last_picture():
    def interrupt(_):
        raise KeyboardInterrupt

    console, here = terminal(), found()
    assert watch(lambda: here, console, interrupt) is here
    assert console.file.getvalue().rstrip().endswith("log: work/log.txt")


def test_a_picture_once(capsys):
    console = terminal()
    show(console, found())
    assert "tier full" in console.file.getvalue()
