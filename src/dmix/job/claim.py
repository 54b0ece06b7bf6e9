"""Claims the folder of a job that has no checkpoints, so that one process at a time does it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dmix.files import sweep, write_text
from dmix.grid.paths import FAILURE
from dmix.grid.spec import RunSpec
from dmix.job.recorded import forget
from dmix.job.say import say
from dmix.lock import held


@contextmanager
def claimed(spec: RunSpec, work: Path, results: Path, doing: str) -> Iterator[None]:
    """Hold the lock of a job while the block does it, or finds it done; then forget an earlier failure.

    What killed processes left in the two folders is removed first.

    Parameters
    ----------
    work, results: the job's folders. doing: of the holder, for whoever waits, such as "evaluating this run".

    Raises
    ------
    DmixError: the work folder cannot be written.
    """
    # For people who look up a folder by its digests; also shows early that the folder can be written.
    write_text(work / "spec.json", json.dumps(spec.identity(), indent=1) + "\n")
    lock = work / "lock"
    with held(lock, lambda holder: say(f"waiting: {holder} is {doing} ({lock})")):
        for place in (work, results):
            sweep(place)
        yield
        forget(work / FAILURE)
