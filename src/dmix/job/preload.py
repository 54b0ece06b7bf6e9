"""Client side of preloading: import once, fork a process per run. It imports no torch.

Imports take seconds, as long as an embedded run trains. With `--preload`, `dmix train` hands its command
line, environment and terminal to a helper process that has everything imported, which forks a process
that runs the same command. The run still has its own process, exit status, signals and record, so Snakemake
sees one job per run, and the record is the same as without preloading.

The helper's address is a digest of the package's source, of the versions of the packages that compute, and of
what a forked process inherits (`dmix.job.surroundings`): after an edit or an upgrade there is a new helper,
and the old one ends when idle. Where no helper can run, the command runs without one.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from dmix import PACKAGE
from dmix.errors import DmixError
from dmix.job.surroundings import inherited, private_folder
from dmix.job.versions import installed
from dmix.lock import held

START_SECONDS = 120.0
ANSWER_SECONDS = 30.0
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


def run(arguments: Sequence[str]) -> int | None:
    """Run `dmix ARGUMENTS` in a process forked from the helper, and return its exit status.

    Stop signals are passed on to the run; if this process dies, the run saves and stops. Where no helper can
    run or answer, return None, after one line that says why; nothing was run then.
    """
    try:
        pid, connection = _begin(arguments)
    except (OSError, ValueError, DmixError) as error:
        reason = " ".join(str(error).split())
        print(f"dmix: running without the preloaded helper: {reason}", file=sys.stderr, flush=True)
        return None

    def forward(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return

    for number in FORWARDED:
        signal.signal(number, forward)
    with connection:
        status = _line(connection)
    if not status:
        raise DmixError(
            f"process {pid} was killed before it finished",
            "most often memory ran out: let fewer runs train at a time, or give the job more memory",
            exit_code=1,
        )
    return int(status)


def helper_address(around: tuple[object, ...] | None = None) -> Path:
    """Return the socket of the helper for this interpreter, source and `around`, by default `inherited()`.

    Raises
    ------
    DmixError: there is no folder for it, or a package is missing.
    OSError: the source cannot be read.
    """
    around = inherited() if around is None else around
    content = hashlib.sha256(repr((sys.executable, sorted(installed().items()), around)).encode())
    for path in sorted(PACKAGE.rglob("*.py")):
        content.update(os.fsencode(path) + path.read_bytes())
    name = f"{content.hexdigest()[:16]}.sock"
    return private_folder(name) / name


def guard(address: Path) -> Path:
    """Return the lock file of those who start the helper at `address`, or remove its socket."""
    return address.with_suffix(".lock")


def connect(address: Path) -> socket.socket | None:
    """Return a connection to the helper at `address`, or None if nobody listens there."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(ANSWER_SECONDS)
    try:
        connection.connect(str(address))
    except OSError:
        connection.close()
        return None
    return connection


def _begin(arguments: Sequence[str]) -> tuple[int, socket.socket]:
    """Hand a command to the helper; return the process that was forked for it, and the connection to it."""
    address = helper_address()
    request = {"arguments": list(arguments), "folder": str(Path.cwd()), "environment": dict(os.environ)}
    body = json.dumps(request).encode()
    for last in (False, True):
        connection = connect(address) or _start(address)
        try:
            socket.send_fds(connection, [len(body).to_bytes(8)], [0, 1, 2])
            connection.sendall(body)
            if answer := _line(connection):
                pid = int(answer)
                if pid <= 1:
                    raise ValueError(f"{address} answers {answer!r}")
                connection.settimeout(None)
                return pid, connection
        except ConnectionError:
            if last:
                raise
        except BaseException:
            connection.close()
            raise
        connection.close()  # it ended, being idle, just when it was asked: ask once more
    raise DmixError(f"the helper closed the connection; see {address.with_suffix('.log')}")


def _line(connection: socket.socket) -> str:
    """Receive one short line, or "" if the other side is gone."""
    text = b""
    while not text.endswith(b"\n") and len(text) < 100:
        try:
            byte = connection.recv(1)
        except ConnectionError:
            byte = b""
        if not byte:
            return ""
        text += byte
    return text.decode("ascii", errors="replace").strip()


def _quiet(holder: str) -> None:
    """Wait without a word: the other client starts the helper that this one needs too."""


def _start(address: Path) -> socket.socket:
    """Start the helper, unless another client just did, and wait until it answers."""
    log = address.with_suffix(".log")
    with held(guard(address), _quiet):
        if connection := connect(address):
            return connection
        with open(log, "wb") as output:
            helper = subprocess.Popen(
                [sys.executable, "-m", "dmix.job.helper", str(address)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and helper.poll() is None:
            if connection := connect(address):
                return connection
            time.sleep(0.05)
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    raise DmixError(f"it did not start: {said[0] if said else 'no reason given'} ({log})")
