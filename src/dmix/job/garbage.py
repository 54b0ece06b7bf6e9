"""`dmix gc`: folders that no grid names any more, and what killed processes left."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Set
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from dmix.files import ABANDONED_SECONDS, leftovers, unfinished_folders
from dmix.grid.evaluation import leaf_of
from dmix.grid.expand import Grid, folder
from dmix.grid.kinds import kinds
from dmix.grid.paths import DATA, RECORD, RESULTS, WORK, records_folder, weights_folder
from dmix.holder import holder_of
from dmix.lock import attempt

LEAF = "**/s*-????????-????????"


@dataclass(frozen=True)
class Found:
    """A file or folder, why it is listed, and the lock file under which it may be deleted, if any."""

    path: Path
    why: str
    lock: Path | None = None


def garbage(grid: Grid, paper: Path) -> Iterator[Found]:
    """Yield what the tier no longer needs; `paper` is the folder of the rendered tables."""
    relations = (grid.runs[name].relation for name in grid.places)
    known = {*grid.places.values(), *(folder(spec) for spec in relations if spec is not None)}
    known |= {leaf_of(kind, place) for kind in kinds() for place in grid.places.values()}
    yield from _unused(grid, known)
    yield from _debris(grid.tier, known, paper)


def collect(grid: Grid, paper: Path, *, delete: bool, stopped: bool, tell: Callable[[str], None]) -> None:
    """List what the tier no longer needs, or delete it.

    What a living process works on is never deleted, the resume state of a stopped run only if `stopped`.
    """
    for found in list(garbage(grid, paper)):  # all of it first: deleting changes what is found
        if delete and found.why == "stopped" and not stopped:
            tell(f"kept {found.path}: of a stopped run; to delete it: dmix gc --delete --stopped")
        elif not delete or not _delete(found):
            holder = holder_of(found.lock) if found.lock else None
            tell(
                f"{'in use' if holder else found.why} {found.path}{f': {holder} holds it' if holder else ''}"
            )
        else:
            tell(f"deleted {found.path}")


def _delete(found: Found) -> bool:
    """Delete a file or folder, unless a living process holds its lock; return whether it is gone."""
    with ExitStack() as stack:
        # Without a folder for its lock nobody can be at work.
        if found.lock and found.lock.parent.exists() and not stack.enter_context(attempt(found.lock)):
            return False
        if found.path.is_dir() and not found.path.is_symlink():
            shutil.rmtree(found.path)
        else:
            found.path.unlink(missing_ok=True)
    return True


def _unused(grid: Grid, known: Set[str]) -> Iterator[Found]:
    """Yield folders of runs, class relations and evaluations that are not `known`."""
    work = WORK / grid.tier
    for root in _roots(grid.tier):
        for leaf in sorted(root.glob(LEAF)):
            name = leaf.relative_to(root)
            if str(name) in known:
                continue
            finished = (records_folder(grid.tier) / name / RECORD).exists() or (
                work / name / "finished"
            ).exists()
            stopped = (work / name / "checkpoint.pt").exists() and not finished
            yield Found(leaf, "stopped" if stopped else "unused", work / name / "lock")


def _roots(tier: str) -> tuple[Path, ...]:
    """Return where folders are, below which each has the name of its resume state.

    Resume state comes last: it shows whether the run of a folder of results was stopped.
    """
    return records_folder(tier), weights_folder(tier), WORK / tier


def _debris(tier: str, known: Set[str], paper: Path) -> Iterator[Found]:
    """Yield temporary files and locks of processes that were killed, where folders are `known`."""
    work = WORK / tier
    for root in _roots(tier):
        for leaf in sorted(root.glob(LEAF)):
            name = leaf.relative_to(root)
            if str(name) not in known:
                continue
            lock = work / name / "lock"
            for place in (leaf, leaf / "finished"):
                yield from (Found(part, "debris", lock) for part in leftovers(place))
            if root == work and lock.exists() and not holder_of(lock):
                yield Found(lock, "debris", lock)
    for place in (RESULTS / tier, *(RESULTS / tier / "build").glob("*/"), paper / tier, DATA / "cache"):
        yield from (Found(part, "debris") for part in leftovers(place, ABANDONED_SECONDS))
    yield from (Found(draft, "debris") for draft in unfinished_folders(RESULTS / tier / "export"))
    for draft in sorted((DATA / "real").glob(".*.part")):
        item = draft.name.removesuffix(".part")
        yield Found(draft, "debris", DATA / "downloads" / f"{item}.lock")
    for draft in sorted((DATA / "embedded").glob(".*.part")):
        yield Found(draft, "debris", DATA / "embedded/.lock")
