"""Tasks done ahead by worker processes, their results in order: torch's DataLoader, tamed.

The processes are forked. A fresh interpreter would import torch for seconds, and a run that was itself
forked from the preloaded helper has everything at hand. Forked processes inherit a CUDA context they must
not use, and do not: tasks are made of files, Pillow and numpy.
"""

from __future__ import annotations

import atexit
import gc
import signal
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar
from weakref import WeakSet

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dmix.errors import DmixError

Task = TypeVar("Task")

_unfinished: WeakSet[Generator[Tensor]] = WeakSet()
# Iterators of torch with processes. They are held here, because one that is found in a cycle of garbage
# loses its queues before it can tell its processes to end.
_started: set[object] = set()


def parallel_map(
    work: Callable[[Task], Tensor], tasks: Iterable[Task], *, workers: int, ahead: int, pin: bool
) -> Iterator[Tensor]:
    """Yield `work(task)` for each task, in their order.

    Nothing is started before the first result is asked for; the processes end with the last result, or when
    the iterator is dropped. Results do not depend on `workers`, and no global generator is advanced.

    Parameters
    ----------
    work: a function of its task alone.
    tasks: read in this process, ahead of the results; may be endless.
    workers: processes beside this one; with 0, this process does the tasks, when they are asked for.
    ahead: how many tasks may be done ahead, in all; each process has at least two.
    pin: put results in page-locked memory, for copies to a GPU that do not wait.

    Raises
    ------
    DmixError: what `work` raised, in the place of its result; or a file could not be read.
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
            "worker_init_fn": _settle,
        }
    with warnings.catch_warnings():
        # more processes than cores: the caller's choice
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        results: Any = iter(
            DataLoader(
                _Tasks(work),
                batch_size=None,
                sampler=tasks,
                collate_fn=_as_it_is,
                num_workers=workers,
                pin_memory=pin,
                generator=torch.Generator(),  # else torch's global one is advanced, at every start
                **options,
            )
        )
    _started.add(results)
    try:
        for result in results:
            if isinstance(result, DmixError):
                raise result
            yield result
    finally:
        _started.discard(results)
        if workers:
            # torch would wait for the last reference, which a traceback may hold until Python ends
            results._shutdown_workers()


@atexit.register
def _end() -> None:
    """End what is left when Python ends: it would send SIGTERM, which is ignored, and wait for ever."""
    for results in list(_unfinished):
        results.close()


class _Tasks(Dataset[Tensor | DmixError]):
    """Hands errors over as results: one that crosses processes as an exception arrives as a traceback."""

    def __init__(self, work: Callable[[Any], Tensor]) -> None:
        self._work = work

    def __getitem__(self, task: Any) -> Tensor | DmixError:
        try:
            return self._work(task)
        except DmixError as error:
            return error
        except OSError as error:
            return DmixError(
                f"cannot read a file of the data set: {error}",
                "check that the data set is still there and whole, then run the same command again",
                exit_code=1,
            )


def _as_it_is(result: Any) -> Any:
    return result


def _settle(worker: int) -> None:
    """Make a forked process a good worker."""
    del worker
    # A terminal or a scheduler signals every process; the run wants to finish its step and save itself.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    # What was inherited is not to be collected here: it may hold another loader, whose end here would be
    # the end of that loader's processes too.
    gc.freeze()
