"""Records why a job failed, whatever the exception, for `dmix status` and the workflow; imports no torch."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dmix.errors import DmixError
from dmix.files import write_text
from dmix.grid.failure import failure_of, read_failure
from dmix.grid.paths import FAILURE, LOG, WORK
from dmix.grid.spec import digest_of
from dmix.job.say import say
from dmix.reading import parse_json

_STARTED = time.time()
_TOGETHER = 10.0  # seconds within which torchrun starts its processes


@contextmanager
def recorded(options: argparse.Namespace) -> Iterator[None]:
    """Write the reason of any exception of the block to the job's `failure.txt`; the exception goes on.

    The traceback of an exception that is no `DmixError` goes to the end of the job's log. On the second and
    later attempts of a workflow (`options.attempt`), a job that was refused is refused at once.

    Parameters
    ----------
    options: of `dmix train`, `dmix relate` or `dmix evaluate`.

    Raises
    ------
    DmixError: the earlier refusal.
    """
    if getattr(options, "promise", None):
        _refuse_again(options)
    try:
        yield
    except Exception as error:
        work = work_folder(options)
        if work is not None:
            _record(error, work)
        raise


def work_folder(options: argparse.Namespace) -> Path | None:
    """Return the work folder of the job, by its promise or else by the parameter files, or None."""
    if options.verb == "evaluate" and options.kind is None:
        return None  # it writes nothing
    tier, name = str(options.tier), str(options.name)
    if promised := getattr(options, "promise", None):
        try:
            promise = parse_json(promised, "the promise")
            leaf = f"{name}-{digest_of(promise['spec'])}-{promise['code']}"
        except (DmixError, TypeError, KeyError):
            return None  # a promise that cannot be read names no folder
        return _work(options, leaf)
    from dmix.grid.expand import (
        folder,
        load_grid,
    )  # an eighth of a second, of which a promise spares each job

    try:
        grid = load_grid(tier)
    except DmixError:
        return None
    if name in grid.class_relations:
        return WORK / tier / folder(grid.class_relations[name])
    known = grid.places.get(name)
    if known is None:
        return None
    return _work(options, known)


def _work(options: argparse.Namespace, place: str) -> Path:
    """Return the work folder of a job on the run in folder `place`: it trains it, or evaluates it."""
    tier = str(options.tier)
    if options.verb != "evaluate":
        return WORK / tier / place
    from dmix.grid.evaluation import EvaluationPaths

    return EvaluationPaths(tier, options.kind, place).work


def forget(path: Path) -> None:
    """Remove a file that says where a run stood, after the run got further or was finished."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        say(f"cannot remove {path}: {error.strerror}", sys.stderr)


def _refuse_again(options: argparse.Namespace) -> None:
    """Raise the refusal of an earlier attempt; on the first one, it may have been corrected."""
    work = work_folder(options)
    before = None if work is None else read_failure(work / FAILURE)
    if work is None or before is None or not before.refused:
        return
    if options.attempt > 1:
        raise DmixError(before.reason, "\n  ".join(before.way_out))
    path = work / FAILURE
    try:
        old = path.stat()
        write_text(path, f"{dataclasses.replace(before, refused=False)}\n")
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))  # it is no news for the workflow
    except (OSError, DmixError) as error:
        say(f"cannot write {path}: {error}", sys.stderr)


def _record(error: Exception, work: Path) -> None:
    """Write `error` to the log and to `failure.txt`; where that fails, say so; it is shown in any case."""
    try:
        work.mkdir(parents=True, exist_ok=True)
        if not isinstance(error, DmixError):
            with open(work / LOG, "a", encoding="utf-8", errors="backslashreplace") as log:
                log.writelines(traceback.format_exception(error))
        if not _of_a_sibling(work / FAILURE):
            write_text(work / FAILURE, f"{failure_of(error, work / LOG)}\n")
    except (OSError, DmixError) as second:
        say(f"the reason of this failure is not kept: {second}", sys.stderr)


def _of_a_sibling(path: Path) -> bool:
    """Return whether another process of this run, started by torchrun, has written its failure.

    The first is the cause: when one process ends, the others fail for want of it.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or not path.exists():
        return False
    return path.stat().st_mtime >= _STARTED - _TOGETHER
