"""A worker that dies, hangs or finds no shared memory ends a reading with one message; nothing is left."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time

import pytest
import torch

from dmix.data.loading import workers
from dmix.errors import DmixError


def die(task: int) -> torch.Tensor:
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return torch.tensor([task])


def freeze(task: int) -> torch.Tensor:
    if task == 1:  # the first of its process: a frozen one hands over none of its earlier results
        os.kill(os.getpid(), signal.SIGSTOP)
    return torch.tensor([task])


def sleep(task: int) -> torch.Tensor:
    if task == 3:
        time.sleep(600)
    return torch.tensor([task])


# torch raises an error in a signal handler when a process dies, also while a socket is being opened.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("work", [die, freeze, sleep])
def test_a_process_that_is_lost_ends_the_reading(monkeypatch, work):
    monkeypatch.setattr(workers, "PATIENCE_SECONDS", 1.0)
    started = time.monotonic()
    with pytest.raises(DmixError, match="a process that reads images died or hangs") as caught:
        list(workers.parallel_map(work, range(9), workers=2, ahead=4, pin=False))
    assert (caught.value.exit_code, "--workers 0" in caught.value.way_out) == (1, True)
    assert multiprocessing.active_children() == []
    assert time.monotonic() - started < 10
    # The next reading is as ever, and so is its error where a process dies.
    assert len(list(workers.parallel_map(torch.tensor, range(3), workers=1, ahead=2, pin=False))) == 3
    with pytest.raises(DmixError, match="died or hangs"):
        list(workers.parallel_map(die, range(9), workers=1, ahead=2, pin=False))


def test_a_process_that_dies_during_a_step_raises_its_error_at_the_next_result():
    results = workers.parallel_map(torch.tensor, range(9), workers=2, ahead=4, pin=False)
    assert next(results) == 0
    processes = multiprocessing.active_children()
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    for _ in range(100):
        torch.ones(64).sum()  # a step; an error in the handler of the ended processes' signals would end it
    with pytest.raises(DmixError, match=r"died or hangs: DataLoader worker .* killed"):
        list(results)
    assert multiprocessing.active_children() == []


def test_an_error_of_the_work_itself_is_not_taken_for_a_lost_process():
    def wrong(task: int) -> torch.Tensor:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(workers.parallel_map(wrong, range(3), workers=1, ahead=2, pin=False))


@pytest.mark.parametrize("processes", [0, 2])
def test_shared_memory_that_is_full_is_told_by_the_worker(monkeypatch, processes):
    def full(_: torch.Tensor) -> None:
        raise RuntimeError(
            "unable to allocate shared memory(shm) for file </torch_1>: No space left on device"
        )

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"total": 64e6, "free": 1e6}))
    results = workers.parallel_map(torch.tensor, range(3), workers=processes, ahead=4, pin=False)
    if processes:
        with pytest.raises(DmixError, match="/dev/shm has 64 MB, 1 MB of them free") as caught:
            list(results)
        assert "--shm-size" in caught.value.way_out
        assert multiprocessing.active_children() == []
    else:
        assert len(list(results)) == 3  # hands nothing over
