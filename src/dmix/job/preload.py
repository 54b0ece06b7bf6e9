"""Client side of preloading: import once, fork a process per run. It imports no torch.

Imports take seconds, as long as an embedded run trains. With `--preload`, `dmix train` hands its command
line, environment and terminal to a helper process that has everything imported, which forks a process
that runs the same command. The run still has its own process, exit status, signals and record, so Snakemake
sees one job per run, and the record is the same as without preloading.

The helper's address is a digest of the package's source: after an edit there is a new helper, and the old
one ends when idle.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from dmix import PACKAGE
from dmix.errors import DmixError

START_SECONDS = 120.0
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


def run(arguments: Sequence[str]) -> int:
    """Run `dmix ARGUMENTS` in a process forked from the helper, and return its exit status.

    Stop signals are passed on to the run; if this process dies, the run saves and stops.
    """
    address = helper_address()
    connection = _connect(address) or _start(address)
    request = {"arguments": list(arguments), "folder": str(Path.cwd()), "environment": dict(os.environ)}
    body = json.dumps(request).encode()
    socket.send_fds(connection, [len(body).to_bytes(8)], [0, 1, 2])
    connection.sendall(body)
    replies = connection.makefile("r")
    pid = int(replies.readline() or 0)

    def forward(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return

    for number in FORWARDED:
        signal.signal(number, forward)
    status = replies.readline()
    if not status:
        print(f"dmix: process {pid} was killed before it finished: {' '.join(arguments)}", file=sys.stderr)
        return 1
    return int(status)


def helper_address() -> Path:
    """Return the socket of the helper for this interpreter and the current source."""
    content = hashlib.sha256(sys.executable.encode())
    for path in sorted(PACKAGE.rglob("*.py")):
        content.update(str(path).encode() + path.read_bytes())
    folder = Path(tempfile.gettempdir()) / f"dmix-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise DmixError(f"{folder} must be a folder that only you can enter", f"remove {folder}")
    return folder / f"{content.hexdigest()[:16]}.sock"


def _connect(address: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(address))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def _start(address: Path) -> socket.socket:
    """Start the helper, unless another client just did, and wait until it answers."""
    log = address.with_suffix(".log")
    with open(address.with_suffix(".lock"), "w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if connection := _connect(address):
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
            if connection := _connect(address):
                return connection
            time.sleep(0.05)
    raise DmixError(
        f"the preloaded helper did not start: {log.read_text()[-2000:]}",
        "run without --preload to see the same command in its own process",
        exit_code=1,
    )
