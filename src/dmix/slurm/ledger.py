"""Remembers across drivers which SLURM job makes which output, so that a new driver follows the old jobs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from dmix.slurm.queue import QueuedJob

LEDGER = Path(".snakemake/slurm_jobs.jsonl")


@dataclass(frozen=True)
class Entry:
    """A submitted job: the output that it makes, SLURM's number and name of it, and the log SLURM writes."""

    output: str
    number: str
    name: str
    log: str


def add(entry: Entry, path: Path = LEDGER) -> None:
    """Append an entry: one line in one write, so that no line is torn by a kill between two.

    Raises
    ------
    OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(descriptor, (json.dumps(asdict(entry)) + "\n").encode())
    finally:
        os.close(descriptor)


def read(path: Path = LEDGER) -> list[Entry]:
    """Return all entries, oldest first, without lines that a full disk cut short."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [entry for entry in map(_entry, lines) if entry is not None]


def in_queue(entries: Iterable[Entry], queue: dict[str, QueuedJob], ended: Iterable[str]) -> dict[str, Entry]:
    """Return output -> its latest job that still waits or runs.

    Parameters
    ----------
    queue: SLURM's jobs by number. A number that SLURM gave to another job since has another name.
    ended: states that no job leaves.
    """
    over = set(ended)
    found = {}
    for entry in entries:
        job = queue.get(entry.number)
        if job is not None and job.name == entry.name and job.state not in over:
            found[entry.output] = entry
    return found


def _entry(line: str) -> Entry | None:
    try:
        values = json.loads(line)
        entry = Entry(**values)
    except (ValueError, TypeError):
        return None
    return entry if all(isinstance(value, str) for value in asdict(entry).values()) else None
