"""Two processes of one run never write into its folder at the same time."""

from __future__ import annotations

import dataclasses
import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dmix import holder, lock
from dmix.errors import DmixError
from dmix.holder import DEAD_AFTER_SECONDS, Holder, holder_of, me


def write_owner(path: Path, **changes: object) -> None:
    path.write_text(dataclasses.replace(me(), **changes).text)


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def silent(path: Path, seconds: float = DEAD_AFTER_SECONDS + 1) -> None:
    """Let the last sign of life be that long ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))


def taken(path: Path) -> bool:
    with lock.attempt(path) as mine:
        return mine


@pytest.fixture(params=[None, errno.EPERM, errno.ENOTSUP, errno.ENOSYS], ids=str)
def path(request, tmp_path, monkeypatch) -> Path:
    """A lock on a file system with hard links, or without them, which each file system says differently."""

    def refuse(*arguments: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    if request.param is not None:
        monkeypatch.setattr(os, "link", refuse)
    return tmp_path / "lock"


def test_free_lock_is_taken_and_removed(path):
    with lock.held(path, print):
        assert holder_of(path) == me()
        assert list(path.parent.iterdir()) == [path]
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("changes", [{"pid": dead_pid()}, {"born": "1"}], ids=["gone", "another's number"])
def test_a_dead_process_holds_nothing(path, changes):
    write_owner(path, **changes)
    assert holder_of(path) is None
    assert taken(path)


def test_a_zombie_holds_nothing(path):
    """In a container nobody may ever reap a killed process, so its number stays taken."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    write_owner(path, pid=process.pid, born=holder._birth(process.pid))
    assert not taken(path)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert taken(path)
    process.communicate()


def test_a_living_process_holds(path):
    write_owner(path)
    assert not taken(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "elsewhere"},
        {"place": "another container", "pid": dead_pid()},
        {"place": "", "pid": dead_pid()},
    ],
    ids=["another host", "a container with this host's name", "an older dmix"],
)
def test_a_process_that_cannot_be_seen_holds_while_its_heart_beats(path, changes):
    write_owner(path, **changes)
    assert not taken(path)
    silent(path)
    assert holder_of(path) is None
    assert taken(path)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\x00\x00\x00", b"{", b"[]", b"null", b"[" * 100_000, b'{"pid": 1e99, "host": 1}'),
        *(b'{"pid": 0, "host": "h"}', b'{"pid": true, "host": "h"}', b'{"pid": -1, "host": "h"}'),
    ],
    ids=range(10),
)
def test_an_empty_or_broken_file_is_taken_over_when_it_is_silent(path, content):
    path.write_bytes(content)
    assert not taken(path)
    assert holder_of(path) is not None
    silent(path)
    assert taken(path)


def test_waiting_for_a_broken_file_says_so(path, monkeypatch):
    monkeypatch.setattr(lock, "POLL_SECONDS", 0.01)
    path.write_bytes(b"")
    told = []

    def tell(who: str) -> None:
        told.append(who)
        silent(path)

    with lock.held(path, tell):
        assert told == [f"an unknown process ({path} is empty or broken)"]


@pytest.mark.parametrize("skew", [-3600, 3600])
def test_the_clock_of_this_machine_does_not_matter(path, monkeypatch, skew):
    write_owner(path, host="elsewhere")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + skew)
    assert not taken(path)


def test_a_time_in_the_future_is_no_sign_of_life(path):
    write_owner(path, host="elsewhere")
    silent(path, -3600)
    assert taken(path)


def test_a_folder_that_cannot_be_written_is_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DmixError, match="cannot make the lock file"),
        lock.held(tmp_path / "file/lock", print),
    ):
        pass


def test_the_heart_beats_and_notices_a_lost_lock(path, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.02)
    left = threading.Event()
    monkeypatch.setattr(signal, "raise_signal", lambda number: left.set())
    monkeypatch.setattr(os, "kill", lambda pid, number: left.set() if number == signal.SIGTERM else None)
    with lock.held(path, print):
        silent(path)
        deadline = time.monotonic() + 10
        while time.time() - path.stat().st_mtime > 60 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert time.time() - path.stat().st_mtime < 60
        path.unlink()
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert holder.parse(path.read_bytes()) == me()
        assert not left.is_set()
        path.write_text(Holder("elsewhere", 1).text)  # it took this process for dead
        assert left.wait(10)
    assert holder.parse(path.read_bytes()) == Holder("elsewhere", 1)  # and keeps its lock


def _contend(path: Path, seconds: float, log: Path) -> None:
    with lock.held(path, lambda text: None):
        with log.open("a") as out:
            out.write("in\n")
        time.sleep(seconds)
        with log.open("a") as out:
            out.write("out\n")


def test_of_many_one_at_a_time(path, monkeypatch):
    monkeypatch.setattr(lock, "POLL_SECONDS", 0.01)
    write_owner(path, pid=dead_pid())  # all of them find a dead holder first
    log = path.with_name("log")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_contend, args=(path, 0.05, log)) for _ in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert log.read_text() == "in\nout\n" * 6
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["log"]


def test_no_lock_needs_flock():
    """Lustre without -o flock, some NFS and gcsfuse refuse it; leases of devices are on a node's own disk."""
    source = Path(lock.__file__).parent
    found = [path.relative_to(source) for path in source.rglob("*.py") if "fcntl" in path.read_text()]
    assert found == [Path("devices/flock.py")]
