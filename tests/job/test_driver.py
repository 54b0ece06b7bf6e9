"""After a killed Snakemake the same command goes on; while another one lives it does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dmix.holder import Holder, holder_of, me
from dmix.job import driver
from dmix.job.driver import announce
from dmix.lock import held
from job.conftest import NAME
from project import BIN, Project


@pytest.fixture
def snakemake(tmp_path: Path) -> Path:
    """Snakemake's folder with the lock files of two drivers."""
    (tmp_path / "locks").mkdir()
    for name in ("0.input.lock", "0.output.lock"):
        (tmp_path / "locks" / name).write_text("results/embedded/frame.csv\n")
    (tmp_path / "drivers").mkdir()
    yield tmp_path
    driver._announced.close()


def name_driver(snakemake: Path, holder: Holder, age: float = 0) -> Path:
    file = snakemake / "drivers" / f"{holder.host}-{holder.pid}.driver"
    file.write_text(holder.text)
    os.utime(file, (time.time() - age, time.time() - age))
    return file


def locks(snakemake: Path) -> int:
    return len(list((snakemake / "locks").glob("*.lock")))


def dead() -> Holder:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    mine = me()
    return Holder(mine.host, process.pid, "1", "", mine.place)


def test_locks_of_killed_drivers_are_removed_and_named(snakemake):
    killed, silent = dead(), Holder("elsewhere", 7)
    left = [name_driver(snakemake, killed), name_driver(snakemake, silent, age=1000)]
    told: list[str] = []
    announce(told.append, snakemake)
    assert locks(snakemake) == 0
    assert len(told) == 1
    assert str(killed) in told[0]
    assert str(silent) in told[0]
    assert not [path for path in left if path.exists()]
    (own,) = (snakemake / "drivers").glob("*.driver")
    assert holder_of(own) == me()
    driver._announced.close()
    assert not own.exists()


def test_locks_stay_while_one_driver_lives(snakemake):
    name_driver(snakemake, dead())
    name_driver(snakemake, Holder("elsewhere", 7))
    told: list[str] = []
    announce(told.append, snakemake)
    assert locks(snakemake) == 2
    assert told == ["this folder is driven by process 7 on elsewhere: 2 lock files stay"]


def test_locks_of_which_nothing_is_known_stay(snakemake):
    """Those of another program, or of a dmix that did not name its drivers: Snakemake says how to go on."""
    told: list[str] = []
    announce(told.append, snakemake)
    assert locks(snakemake) == 2
    assert told == []


@pytest.mark.slow
def test_the_same_command_goes_on_after_a_kill(project: Project):
    record = f"results/smoke/records/{project.folder(NAME)}/record.json"
    # The environment is not activated: jobs find dmix all the same.
    snakemake = ("env", "PATH=/usr/bin:/bin", str(BIN / "snakemake"), "--profile", "workflows/profiles/local")
    command = (*snakemake, record, "--config", "tier=smoke")
    deadline = time.monotonic() + 120
    with held(project.path / "work/smoke" / project.folder(NAME) / "lock", print):  # so that the job waits
        first = project.start(*command)
        while not list(project.path.glob(".snakemake/locks/*.lock")) and time.monotonic() < deadline:
            time.sleep(0.05)
        (file,) = project.path.glob(".snakemake/drivers/*.driver")
        second = project.run(*command)
        assert second.returncode != 0
        assert f"dmix: this folder is driven by process {first.pid} on " in second.stderr
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    assert file.exists()
    again = project.run(*command)
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"dmix: Snakemake was killed here (process {first.pid} on " in again.stderr
    assert (project.path / record).exists()
    assert not list((project.path / ".snakemake/drivers").iterdir())
    first.communicate()


TIMERS = """
import sys, threading
from snakemake import cli
class Counted(threading.Timer):
    def start(self):
        print("a timer of", self.interval, "s")
        super().start()
threading.Timer = Counted
sys.argv = ["snakemake", *sys.argv[1:]]
cli.main()
"""


def test_no_timer_outlives_the_last_job(project: Project):
    profile = ("--profile", "workflows/profiles/local", "--config", "tier=smoke")
    done = project.run(sys.executable, "-c", TIMERS, "ledger", *profile)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project.path / "paper_tables/smoke/ledger.tex").exists()
    assert "a timer" not in done.stdout
