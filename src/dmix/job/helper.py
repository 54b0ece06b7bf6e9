"""Server side of preloading: import once, fork a process per run. See `dmix.job.preload`."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import torch

from dmix import PACKAGE, vision
from dmix.environment import settle
from dmix.grid.code import NUMERIC_ROOMS, module_digest
from dmix.grid.parts import ROOMS, read_part
from dmix.job.preload import connect, guard, helper_address
from dmix.job.surroundings import inherited
from dmix.job.versions import noted
from dmix.lock import attempt

IDLE_SECONDS = 60.0
PATIENCE_SECONDS = 10.0
LARGEST = 1 << 24  # bytes of a request: an environment and a command line
# Named, not imported: imports go from the command line to this package, never back.
ENTRY = "dmix.cli"


def main(address: Path) -> int:
    """Serve fork requests at `address` until idle."""
    settle()
    noted()  # for the records of all that are forked; compared with those after the imports below
    around = inherited()  # packages change the environment when they are imported
    _import_everything()
    if helper_address(around) != address:
        print("the source or a package changed while the helper was starting")
        return 1
    if os.path.lexists(address) and not address.is_socket():
        print(f"{address} is in the way: it is no socket; remove it")
        return 1
    _sweep(address.parent)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps; children report their status
    with socket.socket(socket.AF_UNIX) as server:
        fresh = address.with_suffix(f".{os.getpid()}")
        server.bind(str(fresh))
        server.listen(128)
        own = fresh.lstat().st_ino
        fresh.rename(address)  # one that nobody listens at any more is replaced
        server.settimeout(IDLE_SECONDS)
        try:
            _serve(server)
        finally:
            if address.is_socket():
                with attempt(guard(address)) as alone:
                    # While another helper starts, the address is not ours to remove.
                    if alone and address.is_socket() and address.lstat().st_ino == own:
                        address.unlink()
    return 0


def _sweep(folder: Path) -> None:
    """Remove the sockets and logs of helpers that are gone."""
    for address in folder.glob("*.sock"):
        with attempt(guard(address)) as alone:
            if not alone:
                continue
            connection = connect(address)
            if connection is None and address.is_socket():
                address.unlink()
                address.with_suffix(".log").unlink(missing_ok=True)
            elif connection is not None:
                connection.close()


def _import_everything() -> None:
    """Import every module a run may need, and those that torch imports with the first optimiser."""
    for room in NUMERIC_ROOMS:
        package = importlib.import_module(f"dmix.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"dmix.{room}."):
            importlib.import_module(module.name)
    importlib.import_module("dmix.job.train")
    importlib.import_module(ENTRY)
    importlib.import_module("dmix.verbs.train")
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


def _serve(server: socket.socket) -> None:
    """Fork a process for every connection until none came for a while.

    The forked process reads the request, so that a client which sends nothing, or rubbish, hinders nobody.
    """
    while True:
        try:
            connection, _ = server.accept()
        except TimeoutError:
            return
        except OSError:  # the client is gone again, or there are too many open files: others go on
            time.sleep(0.05)
            continue
        with connection:
            try:
                child = os.fork() == 0
            except OSError as error:  # no more processes or memory; the client runs without a helper
                print(f"cannot fork: {error}", flush=True)
                continue
            if child:
                server.close()
                _become(*_request(connection), connection)


def _request(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Receive a request and three descriptors; end this forked process if it is none."""
    connection.settimeout(PATIENCE_SECONDS)
    try:
        head, descriptors, _, _ = socket.recv_fds(connection, 8, 3)
        head += _receive(connection, 8 - len(head))
        size = int.from_bytes(head)
        if size > LARGEST or len(descriptors) != 3:
            raise ValueError(f"it announces {size} bytes and sends {len(descriptors)} descriptors")
        request = json.loads(_receive(connection, size))
        if not isinstance(request, dict) or request.keys() != {"arguments", "folder", "environment"}:
            raise ValueError("it is no request")
    except (OSError, ValueError, RecursionError) as error:
        print(f"a client was turned away: {error}", flush=True)
        os._exit(1)
    connection.settimeout(None)
    return request, descriptors


def _receive(connection: socket.socket, size: int) -> bytes:
    body = b""
    while len(body) < size:
        chunk = connection.recv(size - len(body))
        if not chunk:
            raise ConnectionError("it closed the connection")
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
        tempfile.tempdir = None  # the client's, which Python looks up anew
        time.tzset()
        sys.stdout = _stream(1, sys.stdout)
        sys.stderr = _stream(2, sys.stderr)
        connection.sendall(f"{os.getpid()}\n".encode())
        threading.Thread(target=_follow, args=(connection,), daemon=True).start()
        status = importlib.import_module(ENTRY).main(request["arguments"])
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        try:
            with suppress(OSError):  # a full disk must not keep the status from the client
                sys.stdout.flush()
                sys.stderr.flush()
            connection.sendall(f"{status}\n".encode())
        finally:
            os._exit(status)


def _stream(descriptor: int, like: TextIO) -> TextIO:
    """Open a descriptor of the client for text, encoded as PYTHONIOENCODING and the locale say."""
    return open(descriptor, "w", closefd=False, buffering=1, encoding=like.encoding, errors=like.errors)


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
