"""Two processes of one run never write into its folder at the same time."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from dmix.job import lock


def write_owner(path: Path, **changes: object) -> None:
    owner = {"host": socket.gethostname(), "pid": os.getpid(), "born": lock._birth(os.getpid()), "job": ""}
    path.write_text(json.dumps({**owner, **changes}))


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def takes_at_once(path: Path) -> bool:
    told: list[str] = []
    done = threading.Event()

    def hold() -> None:
        with lock.held(path, told.append):
            done.set()

    threading.Thread(target=hold, daemon=True).start()
    return done.wait(0.5)


def test_free_lock_is_taken_and_removed(tmp_path):
    with lock.held(tmp_path / "lock", print):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_dead_process_holds_nothing(tmp_path):
    write_owner(tmp_path / "lock", pid=dead_pid())
    assert takes_at_once(tmp_path / "lock")


def test_a_later_process_with_the_same_number_holds_nothing(tmp_path):
    write_owner(tmp_path / "lock", born="1")
    assert takes_at_once(tmp_path / "lock")


def test_a_living_process_holds(tmp_path):
    write_owner(tmp_path / "lock")
    assert not takes_at_once(tmp_path / "lock")


def test_another_host_holds_while_its_heart_beats(tmp_path):
    path = tmp_path / "lock"
    write_owner(path, host="elsewhere")
    assert not takes_at_once(path)
    old = time.time() - lock.DEAD_AFTER_SECONDS - 1
    os.utime(path, (old, old))
    assert lock._alive(path, json.loads(path.read_text())) is False


def _contend(path: Path, seconds: float, log: Path) -> None:
    with lock.held(path, lambda text: None):
        with log.open("a") as out:
            out.write("in\n")
        time.sleep(seconds)
        with log.open("a") as out:
            out.write("out\n")


def test_of_many_one_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "POLL_SECONDS", 0.01)
    write_owner(tmp_path / "lock", pid=dead_pid())  # all of them find a dead holder first
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=_contend, args=(tmp_path / "lock", 0.05, tmp_path / "log")) for _ in range(6)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert (tmp_path / "log").read_text() == "in\nout\n" * 6
