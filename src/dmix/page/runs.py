"""What the page knows of every run: state, score, curves, provenance, and the end of its log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dmix.errors import DmixError
from dmix.grid.damage import Digest
from dmix.grid.expand import Grid
from dmix.grid.failure import Failure
from dmix.grid.history import ACCURACY, read_rows
from dmix.grid.paths import RunPaths
from dmix.grid.status import run_status
from dmix.page.histories import Curves, Packed, curves_of, thin
from dmix.record import Record
from dmix.report.numbers import fixed
from dmix.report.valid import read_valid

TIMES = "\N{MULTIPLICATION SIGN}"
SHOWN_DIGITS = 12
LOG_BYTES = 2_000
FINISHED_LOG_BYTES = 160
CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes
    ----------
    state: as `dmix status` says, or "invalid" (its record is not the one the grid asks for). detail: of it.
    score: as printed; "" without a record. primary: the column of its accuracy in the history.
    made: what many runs share (commit, versions, hardware, data); own: what is the run's (dates, digests).
    """

    name: str
    cell: str
    seed: int
    state: str
    detail: str
    failure: Failure | None
    score: str
    folder: str
    seconds: float
    primary: str
    history: Packed | None
    made: tuple[tuple[str, str], ...]
    own: tuple[tuple[str, str], ...]
    log: str
    log_path: str
    record: Record | None = field(repr=False, default=None)


def all_runs(grid: Grid, digest: Digest) -> Iterator[Run]:
    """Yield every run of the tier, from files alone; `digest` returns the SHA-256 of a file."""
    for name in grid.runs:
        yield _run(grid, name, digest)


def _run(grid: Grid, name: str, digest: Digest) -> Run:
    spec = grid.runs[name]
    status = run_status(grid, name, digest)
    state, detail, record = str(status.state), status.detail, None
    folder = grid.folders.get(name, "")
    paths = RunPaths(grid.tier, folder)
    if state == "done":
        record, problem = read_valid(paths.record, spec)
        if record is None:
            state, detail = "invalid", problem
    history, problem = _history(paths, record) if folder else (None, "")
    detail = "; ".join(filter(None, (detail, problem)))
    primary = f"{ACCURACY}{record.primary}" if record else _first_accuracy(history)
    return Run(
        name=name,
        cell=spec.cell,
        seed=spec.seed,
        state=state,
        detail=detail,
        failure=status.failure,
        score="" if record is None else fixed(record.score),
        folder=folder,
        seconds=0.0 if record is None else record.seconds,
        primary=primary,
        history=None if history is None else thin(history, primary),
        made=() if record is None else tuple(_made(record)),
        own=() if record is None else tuple(_own(record)),
        log=_tail(paths.log, FINISHED_LOG_BYTES if record else LOG_BYTES) if folder else "",
        log_path=str(paths.log) if folder else "",
        record=record,
    )


def _history(paths: RunPaths, record: Record | None) -> tuple[Curves | None, str]:
    """Return the curves of a finished run, or of one in progress as far as they are, and what is wrong."""
    path = paths.history if record else paths.live_history
    try:
        return curves_of(read_rows(path)) if path.exists() else None, ""
    except DmixError as error:
        return None, f"no curve: {error.message}"


def _first_accuracy(history: Curves | None) -> str:
    columns = () if history is None else history.columns
    return next((column for column in columns if column.startswith(ACCURACY)), "")


def _made(record: Record) -> Iterator[tuple[str, str]]:
    """Yield what a run shares with many others: label and text."""
    commit = record.git_commit or "unknown"
    yield "Commit", commit + (" with uncommitted changes" if record.git_dirty else "")
    yield "Versions", ", ".join(f"{name} {version}" for name, version in record.versions.items())
    hardware = record.hardware
    devices = f"{hardware.processes} {TIMES} {hardware.device}" if hardware.processes > 1 else hardware.device
    yield "Device", f"{devices}, {record.precision}"
    yield "Host", f"{hardware.host_cpu}, {_counted(hardware.threads, 'thread')}"
    yield "Data", f"{record.data_edition}, fingerprint {record.data_fingerprint[:SHOWN_DIGITS]}"


def _own(record: Record) -> Iterator[tuple[str, str]]:
    """Yield what is a run's own: label and text."""
    yield "Trained", f"{_moment(record.started)} to {_moment(record.finished)}"
    resumed = f", resumed {_counted(record.resumes, 'time')}" if record.resumes else ""
    yield "Took", f"{_duration(record.seconds)}{resumed}, {record.hardware.peak_memory_mb:,.0f} MB at most"
    yield "Parameters", f"{record.parameters:,}"
    if record.labels:
        yield "Labels", f"{record.labels.labelled:,} of {record.labels.labelled + record.labels.unlabelled:,}"
    yield "SHA-256 of record", record.record_sha256[:SHOWN_DIGITS]
    yield "SHA-256 of weights", record.weights_sha256[:SHOWN_DIGITS]
    yield "SHA-256 of history", record.history_sha256[:SHOWN_DIGITS]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _moment(text: str) -> str:
    """Return a moment to the minute: 2026-01-01 00:00 UTC."""
    return f"{text[:16].replace('T', ' ')}{' UTC' if text.endswith('+00:00') else ''}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _tail(path: Path, most: int) -> str:
    """Return the last whole lines of a log, at most `most` bytes; "" if there is none.

    Colours and other control characters are left out. Of a line that was written over itself with carriage
    returns, the last state stays.
    """
    try:
        with open(path, "rb") as stream:
            stream.seek(0, 2)
            start = max(0, stream.tell() - most)
            stream.seek(start)
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    # The first line is cut, unless it is the only one.
    whole = lines[1:] if start and len(lines) > 2 else lines
    return CONTROL.sub("", "\n".join(whole)).strip("\n")
