"""Moves results from where an earlier dmix kept them: weights beside records, in results/<tier>/runs.

Files are renamed one by one, weights before the records that name them, so that a kill in between leaves no
record without its weights, and the next start goes on. A job of the earlier dmix that is still at work may
write to the old place; the next start moves that too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from dmix.files import CannotWrite
from dmix.grid.kinds import kinds
from dmix.grid.paths import RECORD, RESULTS, WEIGHTS, WORK, records_folder, weights_folder
from dmix.lock import held


def move_earlier(tier: str, tell: Callable[[str], None]) -> None:
    """Move what an earlier dmix left of a tier to its place today, and tell so in one line.

    What has a file of the same name there stays.

    Raises
    ------
    DmixError: a folder cannot be written.
    """
    earlier = _earlier(tier)
    if not any(folder.is_dir() for folder in earlier):
        return
    with held(WORK / tier / "moving.lock", lambda who: tell(f"waiting: {who} moves results of {tier}")):
        found = [(root, path) for root in earlier for path in root.rglob("*") if path.is_file()]
        try:
            for rank in range(3):
                for root, path in found:
                    if _rank(path) == rank:
                        _move(path, _target(tier, earlier[root], path.relative_to(root)))
                os.sync()
            _remove_empty(earlier)
        except OSError as error:
            raise CannotWrite(Path(error.filename or RESULTS / tier), error) from error
    runs = sum(path.name == RECORD for _, path in found)
    kept = [folder for folder in earlier if folder.exists()]
    tell(
        f"{runs} runs of an earlier dmix are moved from {RESULTS / tier / 'runs'} to {records_folder(tier)} "
        f"and {weights_folder(tier)}"
        + (f"; what was there already stays in {' and '.join(map(str, kept))}" if kept else "")
    )


def _earlier(tier: str) -> dict[Path, Path]:
    """Return the folders of an earlier dmix, each with its place today."""
    results, records = RESULTS / tier, records_folder(tier)
    folders = {results / name: records for name in ("runs", "relations")}
    return folders | {results / kind: records / kind for kind in kinds()}


def _rank(path: Path) -> int:
    """Return when a file is moved: weights first, what makes others count last."""
    return 0 if path.name == WEIGHTS else 2 if path.suffix == ".json" else 1


def _target(tier: str, place: Path, name: Path) -> Path:
    return (weights_folder(tier) if name.name == WEIGHTS else place) / name


def _move(path: Path, target: Path) -> None:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


def _remove_empty(folders: dict[Path, Path]) -> None:
    for root in folders:
        for folder, _, _ in sorted(os.walk(root), reverse=True):
            if not any(Path(folder).iterdir()):
                Path(folder).rmdir()
