"""Opens what finished runs are joined from: a checkout, a bundle or its archive, or a DVC repository."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmix.errors import DmixError
from dmix.grid.paths import RECORD, RESULTS, WEIGHTS, WORK, records_folder, weights_folder

WAY_OUT = (
    "name a checkout with results, a bundle of dmix export or its archive, or a git repository whose "
    "dvc.lock has the tier and whose store this machine may read"
)


@dataclass(frozen=True)
class Source:
    """Records to join, and where the weights of their runs are.

    Attributes
    ----------
    name: as it was given. records: the folder that holds the run folders.
    weights: gives the file of the weights of the run in a folder for as long as its block lasts, or None.
    """

    name: str
    records: Path
    weights: Callable[[str], AbstractContextManager[Path | None]]

    def runs(self) -> set[str]:
        """Return the folders of the runs that have a record."""
        return {str(path.parent.relative_to(self.records)) for path in self.records.rglob(RECORD)}


@contextmanager
def opened(name: str, tier: str, rev: str | None = None) -> Iterator[Source]:
    """Open the source `name` during the block.

    Parameters
    ----------
    rev: commit, branch or tag of a DVC repository; None: the files of a folder, or else its newest commit.

    Raises
    ------
    DmixError: it is nothing of the kind, or has no results of the tier.
    """
    path = Path(name)
    with tempfile.TemporaryDirectory(prefix="join-", dir=_room(tier)) as place:
        if rev is None and path.is_file():
            path = _unpacked(path, Path(place))
        if rev is None and (found := _in_folder(name, path, tier)):
            yield found
            return
        from dvc.repo.open_repo import clean_repos

        try:
            yield _in_repository(name, tier, rev, Path(place))
        finally:
            clean_repos()  # what DVC has cloned and fetched, in the folder for temporary files


def _room(tier: str) -> Path:
    """Return the folder for what is fetched, on the disk of the resume state."""
    room = WORK / tier
    room.mkdir(parents=True, exist_ok=True)
    return room


def _unpacked(archive: Path, place: Path) -> Path:
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(place, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DmixError(f"cannot read {archive}: {error}", WAY_OUT) from error
    inside = [path for path in place.iterdir() if path.is_dir()]
    return inside[0] if len(inside) == 1 else place


def _in_folder(name: str, folder: Path, tier: str) -> Source | None:
    """Return the results in a checkout or bundle; those of an earlier dmix have weights beside records."""
    for root in (folder / RESULTS / tier, folder):
        for records, large in (("records", "weights"), ("runs", "runs")):
            if (root / records).is_dir():

                def weights(place: str, root: Path = root / large) -> AbstractContextManager[Path | None]:
                    file = root / place / WEIGHTS
                    return nullcontext(file if file.exists() else None)

                return Source(name, root / records, weights)
    return None


def _in_repository(name: str, tier: str, rev: str | None, place: Path) -> Source:
    """Return the results that a git repository's dvc.lock names, from its DVC store."""
    from dvc.api import DVCFileSystem

    records, large = records_folder(tier), weights_folder(tier)
    try:
        files: Any = DVCFileSystem(url=name, rev=rev)
        if not files.isdir(str(records)):
            raise DmixError(f"{name} has no results of tier {tier}", WAY_OUT)
        files.get(str(records), str(place / "records"), recursive=True)
    except DmixError:
        raise
    except Exception as error:  # of DVC, git, a cloud's library or the network
        raise DmixError(f"cannot read {name}: {error}", WAY_OUT, exit_code=1) from error

    @contextmanager
    def weights(run: str) -> Iterator[Path | None]:
        file, target = str(large / run / WEIGHTS), place / WEIGHTS
        try:
            there = files.exists(file)
            if there:
                files.get_file(file, str(target))
        except Exception as error:
            raise DmixError(f"cannot read {file} of {name}: {error}", "try again", exit_code=1) from error
        yield target if there else None
        target.unlink(missing_ok=True)

    return Source(name, place / "records", weights)
