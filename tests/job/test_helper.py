"""The preloaded helper: whom it serves, where its socket is, and that jobs run where it cannot."""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import resource
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dmix import cli
from dmix.job import helper, preload, surroundings

MAIN = "entry_of_the_test"


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where a helper would listen that has nothing to import and runs a function of this file."""
    place = tmp_path / "helper.sock"
    entry = types.ModuleType(MAIN)
    entry.main = lambda arguments: print("ran", *arguments, os.environb[b"MARK"], Path.cwd()) or 7
    monkeypatch.setitem(sys.modules, MAIN, entry)
    monkeypatch.setattr(helper, "ENTRY", MAIN)
    monkeypatch.setattr(helper, "_import_everything", lambda: None)
    for module in (helper, preload):
        monkeypatch.setattr(module, "helper_address", lambda around=None: place)
    monkeypatch.setattr(preload, "FORWARDED", ())  # it would replace the handlers of this process
    return place


@pytest.fixture
def serving(address: Path) -> Iterator[Callable[..., multiprocessing.Process]]:
    started = []

    def start(idle: float = 30) -> multiprocessing.Process:
        def serve() -> None:
            helper.IDLE_SECONDS = idle
            raise SystemExit(helper.main(address))

        process = multiprocessing.get_context("fork").Process(target=serve)
        process.start()
        started.append(process)
        deadline = time.monotonic() + 20
        while not address.is_socket() and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        return process

    yield start
    for process in started:
        process.terminate()
        process.join()


def said_to(address: Path, content: bytes, descriptors: int) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(address))
    if content:
        socket.send_fds(client, [content], [1] * descriptors)
    return client


def test_who_sends_nothing_or_rubbish_hinders_nobody(serving, address, capfd, monkeypatch, tmp_path):
    serving()
    monkeypatch.setenv("MARK", os.fsdecode(b"mark\xff"))
    monkeypatch.chdir(tmp_path)
    size = (2).to_bytes(8)
    rubbish = [(b"", 0), (b"\0", 3), (b"GET / HTTP/1.1\r\n\r\n", 0), (b"\xff" * 8, 3), (size + b"{}", 3)]
    rubbish += [(size + b"{}", 0), (size + b"[[", 3), (size + b"\xff\xfe", 3), ((9).to_bytes(8) + b"{}", 3)]
    clients = [said_to(address, *content) for content in rubbish]
    began = time.monotonic()
    assert preload.run(["a", "b"]) == 7
    assert time.monotonic() - began < 5
    assert rf"ran a b b'mark\xff' {tmp_path}" in capfd.readouterr().out
    for client in clients:
        client.close()
    assert preload.run(["again"]) == 7


def answers(server: socket.socket, answer: bytes) -> None:
    with server.accept()[0] as connection:
        connection.sendall(answer)


def test_a_client_that_is_not_answered_runs_without_a_helper(address, capsys, monkeypatch):
    monkeypatch.setattr(preload, "ANSWER_SECONDS", 0.1)
    for answer in (None, b"hello\n", b"0\n", b"-1\n"):
        with socket.socket(socket.AF_UNIX) as foreign:
            foreign.bind(str(address))
            foreign.listen()
            if answer:
                threading.Thread(target=answers, args=(foreign, answer), daemon=True).start()
            assert preload.run(["train"]) is None
        address.unlink()
        said = capsys.readouterr().err
        assert said.startswith("dmix: running without the preloaded helper: ")
        assert said.count("\n") == 1


def test_where_no_helper_can_run_the_command_runs_without(monkeypatch, capsys):
    monkeypatch.setattr(surroundings, "_places", lambda: [Path("/proc")])
    assert cli.main(["train", "nothing", "--tier", "nowhere", "--preload"]) == 2
    first, second = capsys.readouterr().err.splitlines()[:2]
    assert first.startswith(
        "dmix: running without the preloaded helper: no folder for its socket: /proc/dmix-"
    )
    assert "no tier named 'nowhere'" in second


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_left_at_the_address(address, capsys, kind):
    if kind == "file":
        address.write_text("mine")
    elif kind == "folder":
        address.mkdir()
    else:
        address.symlink_to("nowhere")
    assert helper.main(address) == 1
    assert f"{address} is in the way" in capsys.readouterr().out
    assert os.path.lexists(address)


def test_an_idle_helper_removes_its_socket_but_never_a_successor_s(serving, address):
    first = serving(idle=0.3)
    first.join(10)
    assert first.exitcode == 0
    assert not address.exists()
    second = serving(idle=0.3)
    with socket.socket(socket.AF_UNIX) as successor:
        fresh = address.with_suffix(".new")
        successor.bind(str(fresh))
        fresh.rename(address)
        second.join(10)
        assert second.exitcode == 0
        assert address.is_socket()


def test_sockets_of_dead_helpers_are_swept(serving, address):
    gone, log = address.with_name("gone.sock"), address.with_name("gone.log")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(gone))
    log.write_text("")
    serving()
    assert not gone.exists()
    assert not log.exists()


def test_a_long_tmpdir_gets_a_short_address(monkeypatch, tmp_path):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    address = preload.helper_address()
    with socket.socket(socket.AF_UNIX) as server:
        place = address.with_suffix(f".{os.getpid()}")
        server.bind(str(place))
        place.unlink()


def test_a_folder_that_others_may_enter_is_not_used(monkeypatch, tmp_path):
    (tmp_path / f"dmix-{os.getuid()}").mkdir(mode=0o755)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert not preload.helper_address().is_relative_to(tmp_path)


def changed_umask(_: pytest.MonkeyPatch) -> Callable[[], object]:
    before = os.umask(0o031)
    return lambda: os.umask(before)


def changed_limit(_: pytest.MonkeyPatch) -> Callable[[], object]:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (1, before[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_CORE, before)


def changed_cores(_: pytest.MonkeyPatch) -> Callable[[], object]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    return lambda: os.sched_setaffinity(0, before)


def upgraded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"{name} 99")
    return lambda: None


def variable(name: str) -> Callable[[pytest.MonkeyPatch], Callable[[], object]]:
    def change(monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
        monkeypatch.setenv(name, "changed")
        return lambda: None

    return change


@pytest.mark.parametrize(
    "change",
    [changed_umask, changed_limit, changed_cores, upgraded]
    + [
        variable(name) for name in ("PYTHONPATH", "PYTHONIOENCODING", "LD_LIBRARY_PATH", "LC_ALL", "MKL_CBWR")
    ],
    ids=["umask", "limits", "cores", "versions", *("path", "encoding", "linker", "locale", "math library")],
)
def test_a_helper_serves_only_those_who_are_as_it_is(monkeypatch, change):
    before = preload.helper_address()
    assert preload.helper_address() == before
    undo = change(monkeypatch)
    try:
        assert preload.helper_address() != before
    finally:
        undo()


def test_the_number_of_threads_of_a_job_needs_no_helper_of_its_own(monkeypatch):
    before = preload.helper_address()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    assert preload.helper_address() == before


def test_a_client_imports_nothing_that_takes_long():
    script = (
        "import sys, dmix.cli, dmix.job.preload, dmix.job.recorded\n"
        "print({'numpy', 'pandas', 'pydantic', 'snakemake', 'torch', 'yaml'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
