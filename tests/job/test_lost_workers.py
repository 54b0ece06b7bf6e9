"""A run whose images cannot be handed over fails with a message; a second signal ends one that hangs."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from project import Project
from streamed import SOURCE, create, streamed

COMMAND = ("dmix", "train", SOURCE, "--tier", "smoke", "--device", "cpu", "--workers", "2")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def images(tmp_path_factory, embedded_data) -> Project:
    return create(tmp_path_factory.mktemp("lost") / "project", embedded_data, streamed())


def test_small_shared_memory_is_named(images: Project):
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("mounting a small /dev/shm needs root")
    small = "mount -t tmpfs -o size=64k tmpfs /dev/shm && exec " + " ".join(COMMAND)
    done = images.run("unshare", "-m", "bash", "-c", small, timeout=100)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith("dmix: no room in shared memory for images: /dev/shm has 0 MB")
    (failure,) = images.path.glob("work/**/failure.txt")
    assert "step 0 of" in failure.read_text()


def test_a_hung_run_leaves_at_the_second_signal_and_its_processes_with_it(images: Project):
    images.edit(
        "src/dmix/data/loading/workers.py",
        "return _shared(self._work(task))",
        "__import__('time').sleep(600)",
    )
    work = images.path / "work/smoke" / images.folder(SOURCE)
    process = images.start(*COMMAND)
    deadline = time.monotonic() + 120
    while not (work / "progress.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert process.poll() is None
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)  # until its workers, too, have closed the output
    assert process.returncode == 75, output
    assert time.monotonic() - started < 10
    assert "SIGTERM and a second signal: left at step 0 of" in output
    assert not (work / "lock").exists()
