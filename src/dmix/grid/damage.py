"""Checks that the files of a finished run are those that its record names.

Weights may be absent: whoever pulls records alone has no folder with the weights of a run. That is no damage,
and only what needs them says that they are not here.

A disk, an editor or a cache of DVC can deliver another byte in silence, so the SHA-256 of the files are
compared, not their sizes. Hashing all weights of a tier takes minutes. What was hashed is therefore kept, in
results/<tier>/digests.json, and hashed again only where a file's size or one of its times is another: `touch`
and `cp --preserve` change the time of the file's entry, if not of its content. A file that changed within
the last two seconds is not kept. Training from a run's weights hashes them each time.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dmix.errors import DmixError
from dmix.files import sha256, write_text
from dmix.grid.paths import HISTORY, LABELLED, RECORD, RunPaths
from dmix.overlap import stats
from dmix.reading import SEAL, read_json, read_text, seal

SETTLED_SECONDS = 2.0

Digest = Callable[[Path], str]


@contextmanager
def remembered(runs_root: Path) -> Iterator[Digest]:
    """Give a function that returns the SHA-256 of a file, and hashes only what changed since it last did.

    Parameters
    ----------
    runs_root: the folder that holds the run folders, results/<tier>/records.
    """
    path = runs_root.parent / "digests.json"
    try:
        before = read_json(path) if path.exists() else {}
    except DmixError:
        before = {}  # files are then hashed again, which costs time alone
    known: dict[str, Any] = {}

    def digest(file: Path) -> str:
        stat = file.stat()
        state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        said = before.get(str(file))
        if isinstance(said, list) and said[:-1] == state and isinstance(said[-1], str):
            known[str(file)] = said
            return said[-1]
        found = sha256(file)
        if time.time() - max(stat.st_mtime, stat.st_ctime) > SETTLED_SECONDS:
            known[str(file)] = [*state, found]
        return found

    yield digest
    if any(before.get(file) != said for file, said in known.items()) and runs_root.exists():
        others = [file for file in before if file not in known]
        there = zip(others, stats(others), strict=True)
        after = {file: before[file] for file, found in there if found is not None} | known
        try:
            write_text(path, json.dumps(after))
        except DmixError:
            return  # a folder of somebody else's: files are hashed again next time


def damage(folder: Path, weights: Path, digest: Digest = sha256, beside: Path | None = None) -> str:
    """Return what is wrong with the files of a finished run, or "" if all are as its record says.

    Parameters
    ----------
    folder: has the record and the history. weights: the file of the weights; they are absent, which is no
        damage, if its folder is. digest: returns the SHA-256 of a file. beside: has the list of labels, if
        that is another folder (for the copies that a job keeps).
    """
    try:
        record = read_json(folder / RECORD)
    except DmixError as error:
        return error.message.replace(f"{folder}/", "")
    old = record.get("schema_version") == 1  # has neither its own digest nor the history's
    if record.get(SEAL) != (None if old and SEAL not in record else seal(record)):
        return f"{RECORD} was edited: its {SEAL} is another"
    files = (
        (weights, record.get("weights_sha256")),
        (folder / HISTORY, record.get("history_sha256")),
    )
    for path, stated in files:
        name = path.name
        try:
            found = digest(path)
        except OSError as error:
            if path == weights and absent(weights):
                continue
            return f"{name} cannot be read: {error.strerror}"
        if found != stated and not (old and name == HISTORY and not stated):
            return f"{name} was cut or edited: its sha256 is not the one in {RECORD}"
    if labels := record.get("labels"):
        try:
            listed = read_text((beside or folder) / LABELLED).removesuffix("\n")
        except DmixError as error:
            return error.message.replace(f"{beside or folder}/", "")
        digest_of_list = hashlib.sha256(listed.encode()).hexdigest()
        if not isinstance(labels, dict) or labels.get("sha256") != digest_of_list:
            return f"{LABELLED} was cut or edited: its sha256 is not the one in {RECORD}"
    return ""


def absent(weights: Path) -> bool:
    """Return whether the weights of a run are not in this checkout: the folder of the file is missing."""
    return not weights.parent.exists()


def way_out(paths: RunPaths, name: str) -> str:
    """Return how to get a damaged run whole: from where it is, or by training."""
    folders = f"{paths.results} {paths.weights.parent}"
    return (
        f"get it again: dmix doctor --store --repair, then rm -rf {folders}, then dvc pull {folders}; or "
        f"train it again: rm {paths.record}, then dmix train {name} --tier {paths.tier}"
    )


def way_to_weights(paths: RunPaths) -> str:
    """Return how to get the weights of a finished run that are absent."""
    return f"run dvc pull {paths.weights.parent}, or rm {paths.record} to train it again"
