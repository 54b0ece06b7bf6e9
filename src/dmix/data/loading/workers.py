"""An ordered parallel map over forked worker processes, by torch's DataLoader.

Processes are forked, because a fresh interpreter would import torch for seconds. They inherit a CUDA context
that they must not use, and do not: tasks use files, Pillow and numpy only.
"""

from __future__ import annotations

import atexit
import gc
import shutil
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar
from weakref import WeakSet

import torch
from torch import Tensor
from torch._C import _error_if_any_worker_fails
from torch.utils.data import DataLoader, Dataset, get_worker_info

from dmix.errors import DmixError

Task = TypeVar("Task")

PATIENCE_SECONDS = 300.0
"""How long the next result may take: reading takes seconds, a silent file server two minutes."""

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - torch's workers hand tensors over by files there

_unfinished: WeakSet[Generator[Tensor]] = WeakSet()
# Iterators of torch with processes. They are held here, because an iterator that is collected in a reference
# cycle loses its queues before it can tell its processes to end.
_started: set[object] = set()
# Whether the main thread waits for a result; only then may a process that dies raise an error in it.
_waiting = False


def parallel_map(
    work: Callable[[Task], Tensor], tasks: Iterable[Task], *, workers: int, ahead: int, pin: bool
) -> Iterator[Tensor]:
    """Yield `work(task)` for each task, in the order of the tasks.

    Nothing is started before the first result is asked for; the processes end with the last result, or when
    the iterator is dropped. Results do not depend on `workers`, and no global generator is advanced.

    Parameters
    ----------
    work: a function of its task alone.
    tasks: read in this process, ahead of the results; may be endless.
    workers: processes beside this one; with 0, this process does the tasks, when they are asked for.
    ahead: how many tasks all processes together may do ahead; at least two per process.
    pin: put results in page-locked memory, for copies to a GPU that do not wait.

    Raises
    ------
    DmixError: `work` raised it, at the position of its result; a file could not be read; or a process died,
        gave nothing for `PATIENCE_SECONDS`, or found no room in shared memory.
    """
    results = _results(work, tasks, workers, ahead, pin)
    _unfinished.add(results)
    return results


def _results(
    work: Callable[[Task], Tensor], tasks: Iterable[Task], workers: int, ahead: int, pin: bool
) -> Generator[Tensor]:
    options: dict[str, Any] = {}
    if workers:
        options = {
            "multiprocessing_context": "fork",
            "prefetch_factor": max(2, -(-ahead // workers)),
            "worker_init_fn": _init_worker,
            "timeout": PATIENCE_SECONDS,
        }
    with warnings.catch_warnings():
        # more processes than cores: the caller's choice
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        results: Any = iter(
            DataLoader(
                _Tasks(work),
                batch_size=None,
                sampler=tasks,
                collate_fn=_unchanged,
                num_workers=workers,
                pin_memory=pin,
                generator=torch.Generator(),  # otherwise every start advances torch's global one
                **options,
            )
        )
    _started.add(results)
    _raise_deaths_only_while_waiting()
    try:
        while (result := _next(results)) is not None:
            if isinstance(result, DmixError):
                raise result
            yield result
    finally:
        _started.discard(results)
        if workers:
            _end(results, failed=not isinstance(sys.exception(), GeneratorExit | None))


def _next(results: Any) -> Tensor | DmixError | None:
    """Return the next result, or None after the last; a dead or silent process becomes a DmixError."""
    try:
        with _waits():
            found: Tensor | DmixError | None = next(results, None)
    except (RuntimeError, OSError, EOFError) as error:
        if isinstance(error, RuntimeError) and not str(error).startswith("DataLoader "):
            raise  # of the work itself, whose OSErrors are results
        told = str(error).partition("\n")[0] or type(error).__name__
        raise DmixError(
            f"a process that reads images died or hangs: {told}",
            "look whether memory ran out or the file system hangs, then run the same command again; "
            "fewer --workers need less memory, and with --workers 0 the training process reads by itself",
            exit_code=1,
        ) from error
    return found


@contextmanager
def _waits() -> Iterator[None]:
    """Let a process that dies, or has died, raise its error here."""
    global _waiting
    here = threading.current_thread() is threading.main_thread()
    try:
        _waiting = here
        if here:
            _error_if_any_worker_fails()
        yield
    finally:
        if here:
            _waiting = False


def _raise_deaths_only_while_waiting() -> None:
    """Replace torch's handler of ended processes, which raises an error wherever the main thread just is.

    That may be in the middle of a training step, or in the sentence that reports the first error.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, _process_ended)


def _process_ended(number: int, frame: FrameType | None) -> None:
    del number, frame
    global _waiting
    if _waiting:
        _waiting = False  # one error is enough
        _error_if_any_worker_fails()
        _waiting = True


def _end(results: Any, *, failed: bool) -> None:
    """End the processes; torch would, with the last reference, which a traceback may hold until Python ends.

    After a failure they may hang, and torch waits five seconds for each, so they are killed first.
    """
    if failed:
        _kill(results._workers)
    results._shutdown_workers()
    _kill(results._workers)


def _kill(processes: Iterable[Any]) -> None:
    """Kill processes that still run: they ignore SIGTERM, and Python would wait for them without end."""
    for process in processes:
        if process.is_alive():
            process.kill()
            process.join()


@atexit.register
def _close_unfinished() -> None:
    """Close what is left when Python ends: it would send SIGTERM, which workers ignore, and wait forever."""
    for results in list(_unfinished):
        results.close()


class _Tasks(Dataset[Tensor | DmixError]):
    """Returns errors as results: an exception that crosses processes arrives as a traceback."""

    def __init__(self, work: Callable[[Any], Tensor]) -> None:
        self._work = work

    def __getitem__(self, task: Any) -> Tensor | DmixError:
        try:
            return _shared(self._work(task))
        except DmixError as error:
            return error
        except OSError as error:
            return DmixError(
                f"cannot read a file of the data set: {error}",
                "check that the data set is still there and whole, then run the same command again",
                exit_code=1,
            )


def _shared(result: Tensor) -> Tensor:
    """Move a worker's result to shared memory; torch would do so where nobody hears of a failure."""
    if get_worker_info() is None or not result.numel():
        return result
    try:
        result.share_memory_()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        disk = shutil.disk_usage(SHARED_MEMORY)
        raise DmixError(
            f"no room in shared memory for images: {SHARED_MEMORY} has {disk.total / 1e6:,.0f} MB, "
            f"{disk.free / 1e6:,.0f} MB of them free",
            "make it larger (docker run --shm-size=8g), or use --workers 0, with which the training process "
            "reads by itself",
            exit_code=1,
        ) from error
    return result


def _unchanged(result: Any) -> Any:
    return result


def _init_worker(worker: int) -> None:
    """Prepare a forked worker process."""
    del worker
    # Terminals and schedulers signal every process, and the run still needs its workers to finish its step.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    # Inherited objects must not be collected here: closing an inherited loader would end its processes.
    gc.freeze()
