"""Looks at all finished runs of a tier at once: are their files whole, and what did they take?

Reading a thousand records and hashing their weights takes minutes on a network file system. What was found is
therefore kept, in results/<tier>/finished.json, with size, times and inode of each file of the run. A run of
which none has changed is not read again: it costs one `stat` per file, and these overlap.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dmix.errors import DmixError
from dmix.files import write_text
from dmix.grid.damage import SETTLED_SECONDS, Digest, damage, remembered, way_out
from dmix.grid.expand import Grid
from dmix.grid.paths import HISTORY, LABELLED, RECORD, WEIGHTS, RunPaths, records_folder, weights_beside
from dmix.overlap import overlapped, stats
from dmix.reading import read_json

FILES = (RECORD, HISTORY, WEIGHTS)
SHOWN = 3

State = tuple[int, int, int, int]
ABSENT: State = (0, 0, 0, 0)
"""State of weights whose whole folder is absent, as after pulling records alone."""


@dataclass(frozen=True)
class Outcome:
    """What a run's record says, and what is wrong with the run's files.

    Attributes
    ----------
    problem: "" if all files are as the record says. seconds: of training; None if the record does not say.
    processes: how many devices shared the run. score: the one that tables report, in percent, or None.
    finished: time of the record, ISO 8601 in UTC, or "". device: what it was trained on, or "".
    memory_mb: peak of its memory in MiB, parameters: of the network; 0 if the record does not say.
    """

    problem: str = ""
    seconds: float | None = None
    processes: int = 1
    score: float | None = None
    finished: str = ""
    device: str = ""
    memory_mb: float = 0.0
    parameters: int = 0


def finished_runs(tier: str, folders: Mapping[str, str]) -> dict[str, Outcome]:
    """Return name -> what is known of each run of `folders` (name -> folder of the run) that has a record."""
    root = records_folder(tier)
    file = root.parent / "finished.json"
    here = stats([f"{root}/{folder}/{RECORD}" for folder in folders.values()])
    records = {name: found for name, found in zip(folders, here, strict=True) if found is not None}
    done = {name: folders[name] for name in records}
    if not done:
        return {}
    memory = _read(file)
    known = {name: memory[folder] for name, folder in done.items() if folder in memory}
    with_list = {name for name, (before, _) in known.items() if len(before) > len(FILES)}
    states = _states(root, done, records, with_list)
    found = {name: said for name, (before, said) in known.items() if before == states[name]}
    changed = [name for name in done if name not in found]
    if changed:
        with remembered(root) as digest:
            looked = overlapped(lambda name: _look(root, done[name], digest), changed)
        found |= dict(zip(changed, looked, strict=True))
        again = _states(root, {name: done[name] for name in changed}, records, _labelled(root, done, changed))
        _keep(root, file, memory, {done[name]: (again[name], found[name]) for name in changed})
    return {name: found[name] for name in done}


def refuse_damaged(grid: Grid) -> None:
    """Check every finished run of a tier before its workflow starts, which would take them for done.

    Raises
    ------
    DmixError: some are damaged; names them.
    """
    places = grid.places
    looked = finished_runs(grid.tier, places)
    found = {name: said.problem for name, said in looked.items() if said.problem}
    if found:
        lines = [f"{name}: {problem}" for name, problem in list(found.items())[:SHOWN]]
        more = f" (and {len(found) - SHOWN} more; dmix status lists them)" if len(found) > SHOWN else ""
        first = next(iter(found))
        raise DmixError(
            f"{len(found)} finished runs of tier {grid.tier} are damaged: {'; '.join(lines)}{more}",
            way_out(RunPaths(grid.tier, places[first]), first),
            exit_code=1,
        )


def _look(root: Path, place: str, digest: Digest) -> Outcome:
    folder = root / place
    problem = damage(folder, weights_beside(root) / place / WEIGHTS, digest)
    try:
        record = read_json(folder / RECORD)
    except DmixError:
        return Outcome(problem)
    hardware = record.get("hardware")
    hardware = hardware if isinstance(hardware, dict) else {}
    return Outcome(
        problem,
        _number(record.get("seconds")),
        int(_number(hardware.get("processes")) or 1),
        _number(record.get("score")),
        str(record.get("finished", "")),
        str(hardware.get("device", "")),
        _number(hardware.get("peak_memory_mb")) or 0.0,
        int(_number(record.get("parameters")) or 0),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _states(
    root: Path, folders: Mapping[str, str], records: Mapping[str, os.stat_result], with_list: set[str]
) -> dict[str, tuple[State | None, ...]]:
    """Return name -> the state of each file of the run; `with_list` have a list of labels too."""
    files = {name: (*FILES[1:], LABELLED) if name in with_list else FILES[1:] for name in folders}
    homes = {file: weights_beside(root) if file == WEIGHTS else root for file in (*FILES, LABELLED)}
    paths = [f"{homes[file]}/{folder}/{file}" for name, folder in folders.items() for file in files[name]]
    found = dict(zip(paths, map(_state, stats(paths)), strict=True))
    lost = [path for path in paths if path.endswith(WEIGHTS) and found[path] is None]
    there = stats([path.removesuffix(f"/{WEIGHTS}") for path in lost])
    found |= {path: ABSENT for path, folder in zip(lost, there, strict=True) if folder is None}
    looked = iter(found[path] for path in paths)
    return {name: (_state(records[name]), *(next(looked) for _ in files[name])) for name in folders}


def _labelled(root: Path, folders: Mapping[str, str], names: Sequence[str]) -> set[str]:
    there = stats([f"{root}/{folders[name]}/{LABELLED}" for name in names])
    return {name for name, found in zip(names, there, strict=True) if found is not None}


def _state(found: os.stat_result | None) -> State | None:
    return None if found is None else (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


Known = tuple[tuple[State | None, ...], Outcome]


def _read(file: Path) -> dict[str, Known]:
    """Return what is kept; nothing of a file or an entry that is damaged, which is looked at again."""
    found: dict[str, Known] = {}
    try:
        kept = read_json(file).items() if file.exists() else ()
    except DmixError:
        return {}
    for folder, entry in kept:
        try:
            before, said = entry
            found[folder] = (tuple(tuple(state) for state in before), Outcome("", *said))
        except (TypeError, ValueError):
            continue
    return found


def _keep(root: Path, file: Path, memory: Mapping[str, Known], news: Mapping[str, Known]) -> None:
    """Keep what was found of whole runs whose files have settled, and of others that still exist."""
    settled = {
        folder: (states, said)
        for folder, (states, said) in news.items()
        if not said.problem and all(state is not None and _has_settled(state) for state in states)
    }
    others = [folder for folder in memory if folder not in news]
    there = stats([f"{root}/{folder}/{RECORD}" for folder in others])
    kept = {folder: memory[folder] for folder, record in zip(others, there, strict=True) if record}
    if (after := kept | settled) == memory:
        return
    text: dict[str, Any] = {
        folder: [states, list(asdict(said).values())[1:]] for folder, (states, said) in after.items()
    }
    try:
        write_text(file, json.dumps(text))
    except DmixError:
        return  # a folder of somebody else's: runs are looked at again next time


def _has_settled(state: State) -> bool:
    return time.time() - max(state[1], state[2]) / 1e9 > SETTLED_SECONDS
