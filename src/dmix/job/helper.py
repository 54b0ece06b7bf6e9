"""Server side of preloading: import once, fork a process per run. See `dmix.job.preload`."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import torch

from dmix import PACKAGE, vision
from dmix.grid.code import NUMERIC_ROOMS, module_digest
from dmix.grid.parts import ROOMS, read_part
from dmix.job.preload import helper_address

IDLE_SECONDS = 60.0
# Named, not imported: imports go from the command line to this package, never back.
ENTRY = "dmix.cli"


def main(address: Path) -> int:
    """Serve fork requests at `address` until idle."""
    _import_everything()
    if helper_address() != address:
        print("the source changed while the helper was starting")
        return 1
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps; children report their status
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(address))
        server.listen(128)
        server.settimeout(IDLE_SECONDS)
        try:
            while True:
                connection, _ = server.accept()
                with connection:
                    _serve(server, connection)
        except TimeoutError:
            return 0
        finally:
            address.unlink(missing_ok=True)


def _import_everything() -> None:
    """Import every module a run may need, and those that torch imports with the first optimiser."""
    for room in NUMERIC_ROOMS:
        package = importlib.import_module(f"dmix.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"dmix.{room}."):
            importlib.import_module(module.name)
    importlib.import_module("dmix.job.train")
    importlib.import_module(ENTRY)
    importlib.import_module("dmix.verbs")
    vision.timm()
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    read_modules()


def read_modules() -> None:
    """Fill the caches of parts and module digests, which every forked process then has."""
    for section, room in ROOMS.items():
        for path in sorted(PACKAGE.joinpath(*room.split("/")).glob("*.py")):
            if "@part" in path.read_text(encoding="utf-8"):
                read_part(section, path.stem)
    for room in NUMERIC_ROOMS:
        for path in sorted((PACKAGE / room).rglob("*.py")):
            module_digest(path, ".".join(("dmix", *path.relative_to(PACKAGE).with_suffix("").parts)))


def _serve(server: socket.socket, connection: socket.socket) -> None:
    connection.settimeout(10)
    try:
        head, descriptors, _, _ = socket.recv_fds(connection, 8, 3)
        body = _receive(connection, int.from_bytes(head))
    except (TimeoutError, ConnectionError):
        return  # the client is gone, and no run was started yet
    connection.settimeout(None)
    if os.fork() == 0:
        server.close()
        _become(json.loads(body), descriptors, connection)
    for descriptor in descriptors:
        os.close(descriptor)


def _receive(connection: socket.socket, size: int) -> bytes:
    body = b""
    while len(body) < size:
        chunk = connection.recv(size - len(body))
        if not chunk:
            raise ConnectionError("the client closed the connection")
        body += chunk
    return body


def _become(request: dict[str, Any], descriptors: list[int], connection: socket.socket) -> None:
    """Run the client's command in this forked child, with its terminal and environment; never return."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.stdout = open(1, "w", closefd=False, buffering=1)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
        connection.sendall(f"{os.getpid()}\n".encode())
        threading.Thread(target=_follow, args=(connection,), daemon=True).start()
        status = importlib.import_module(ENTRY).main(request["arguments"])
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            connection.sendall(f"{status}\n".encode())
        finally:
            os._exit(status)


def _follow(connection: socket.socket) -> None:
    """Send SIGTERM to this process, so that it saves and stops, when the client is gone."""
    try:
        gone = connection.recv(1) == b""
    except ConnectionError:
        gone = True
    if gone:
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
