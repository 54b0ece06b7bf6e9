"""Kill runs of every method and policy, go on, and compare their ends with those of runs never killed.

    python tests/kill_runs.py --kills 240

Half of the kills are systematic: before operations on files that are evenly spread from the first to the
last. The others come after a random time. Runs are of the smoke tier, each in a process forked from this one,
so that a kill takes a second or two. Prints one line per run, and ends with 1 where a run ends otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dmix import cli
from dmix.data.embedded.editions import embed
from dmix.grid.expand import Grid, folder, load_grid
from dmix.grid.paths import ClassRelationPaths, RunPaths
from dmix.grid.spec import RunSpec
from dmix.job import helper

ROOT = Path(__file__).resolve().parents[1]
TIER = "smoke"
FIRST_NETWORK = ("supervised/cifar10/resnet18/", "supervised/cifar100/resnet18/")
OPERATIONS = ("os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Job:
    """A run or a class relation, with the command that makes it."""

    spec: RunSpec
    name: str
    command: tuple[str, ...]
    results: Path
    weights: Path
    work: Path

    @property
    def places(self) -> tuple[Path, ...]:
        """Every folder that the job writes into."""
        return self.results, self.weights, self.work

    def clear(self) -> None:
        """Delete everything that the job has written."""
        for place in self.places:
            shutil.rmtree(place, ignore_errors=True)


@dataclass(frozen=True)
class Ended:
    """What a job leaves: names of all its files, and what must not depend on interruptions."""

    files: frozenset[str]
    contents: Mapping[str, object]


def job_of(spec: RunSpec, name: str, *, relation: bool) -> Job:
    """Return the job of a run's or a class relation's specification."""
    if relation:
        paths = ClassRelationPaths(TIER, folder(spec))
        work = Path("work") / TIER / paths.folder
        return Job(spec, name, ("relate", name), paths.results, paths.results, work)
    run = RunPaths(TIER, folder(spec))
    every_step = ("--checkpoint-seconds", "0", "--device", "cpu")
    return Job(spec, name, ("train", name, *every_step), run.results, run.weights.parent, run.work)


def jobs(grid: Grid, only: str) -> tuple[list[Job], list[Job]]:
    """Return one run of each method, policy and add-on, and before them what they start from.

    The second list has those whose name contains `only`.
    """
    chosen: dict[tuple[str, ...], RunSpec] = {}
    for name in sorted(grid.folders, key=lambda each: not each.startswith(FIRST_NETWORK)):
        spec = grid.runs[name]
        if spec.task == "supervised":
            kind = ("supervised", spec.axes["policy"], "decoupled" if "dm_" in spec.axes["objective"] else "")
        else:
            kind = (spec.task, spec.axes["method"], spec.axes.get("addon", ""))
        chosen.setdefault(kind, spec)
    found: dict[str, Job] = {}
    for spec in chosen.values():
        if only not in spec.name:
            continue
        for needed in (spec.source, spec.relation, spec):
            if needed is not None:
                found.setdefault(needed.name, job_of(needed, needed.name, relation=needed is spec.relation))
    everything = list(found.values())
    return everything, [job for job in everything if only in job.name]


def start(job: Job, prepare: Callable[[], None]) -> int:
    """Start a job in a process of its own, in which `prepare` is called first; return the process."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    status = 70
    try:
        log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        prepare()
        status = cli.main([*job.command, "--tier", TIER])
        sys.stdout.flush()
    finally:
        os._exit(status)


def status_of(process: int) -> int:
    """Wait for a process; return its exit status, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def watch_operations(act: Callable[[int], None]) -> None:
    """Call `act` with 1, 2, ... before each operation on files below results/ and work/."""
    count = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & WRITES:
                return
        elif event in OPERATIONS:
            path = arguments[0]
        else:
            return
        if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(("results/", "work/")):
            count += 1
            act(count)

    sys.addaudithook(hook)


def nothing() -> None:
    """Prepare nothing."""


def count_operations() -> None:
    """Write the number of each operation to operations.txt before it happens."""
    handle = os.open("operations.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    watch_operations(lambda number: os.pwrite(handle, f"{number:9}".encode(), 0) and None)


def die_before(moment: int) -> Callable[[], None]:
    """Return what kills its process before the operation `moment`."""

    def act(number: int) -> None:
        if number == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    return lambda: watch_operations(act)


def ended(job: Job) -> Ended:
    """Return what a finished job has left."""
    files = [path for place in job.places for path in place.rglob("*") if path.is_file()]
    contents: dict[str, object] = {}
    for path in sorted({*job.results.iterdir(), *job.weights.iterdir()}):
        if path.suffix == ".json":
            record = json.loads(path.read_text())
            kept = ("weights_sha256", "scores", "score", "matrix_sha256", "spec", "code_digest")
            contents[path.name] = {key: record[key] for key in kept if key in record}
        else:
            contents[path.name] = path.read_bytes()
    return Ended(frozenset(map(str, files)), contents)


def step_saved(job: Job) -> int | None:
    """Return the step of the last checkpoint."""
    import torch

    path = job.work / "checkpoint.pt"
    if not path.exists():
        return None
    state = torch.load(path, weights_only=True)
    return int(state["trainer"]["step"])


def is_finished(job: Job) -> bool:
    """Return whether the job has its record, or a copy of it that the next start restores."""
    places = (job.results / "record.json", job.results / "relation.json", job.work / "finished/record.json")
    return any(path.exists() for path in places)


def difference(job: Job, right: Ended, saved: int | None, finished: bool) -> str:
    """Return how a killed and continued job differs from one never killed, or an empty text."""
    found = ended(job)
    said = Path("log.txt").read_text()
    if finished and re.search(r"(?m)^\S+: .* \(\d+\.\d s\)$", said):
        return f"was finished and is trained again: {said}"
    if not finished and saved is not None and f"continuing at step {saved} of" not in said:
        return f"does not go on at step {saved}: {said}"
    if found.files != right.files:
        return f"other files: {', '.join(sorted(found.files ^ right.files))}"
    for name, content in right.contents.items():
        if found.contents[name] != content:
            return f"another {name}"
    return ""


def kill(job: Job, right: Ended, prepare: Callable[[], None], seconds: float | None) -> str:
    """Kill a fresh job, by what `prepare` does or after `seconds`, and let it go on; return what differs."""
    job.clear()
    process = start(job, prepare)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(process, signal.SIGKILL)
    if (status := status_of(process)) not in (0, -signal.SIGKILL):
        return f"ended with {status}: {Path('log.txt').read_text()}"
    saved, finished = step_saved(job), is_finished(job)
    if (status := status_of(start(job, nothing))) != 0:
        return f"does not go on, status {status}: {Path('log.txt').read_text()}"
    return difference(job, right, saved, finished)


def kills_of(job: Job, kills: int, rng: random.Random) -> list[str]:
    """Kill a job some times; return what was found wrong."""
    job.clear()
    before = time.monotonic()
    status = status_of(start(job, count_operations))
    seconds = time.monotonic() - before
    if status != 0:
        return [f"not killed, it ends with {status}: {Path('log.txt').read_text()}"]
    right, operations = ended(job), int(Path("operations.txt").read_text())
    systematic = (kills + 1) // 2
    moments = sorted({1 + i * (operations - 1) // max(1, systematic - 1) for i in range(systematic)})
    wrong = []
    for moment in moments:
        if text := kill(job, right, die_before(moment), None):
            wrong.append(f"killed before operation {moment} of {operations}: {text}")
    for _ in range(kills - len(moments)):
        after = rng.uniform(0.0, seconds)
        if text := kill(job, right, nothing, after):
            wrong.append(f"killed after {after:.3f} s: {text}")
    print(f"{job.name}: {kills} kills, {operations} operations, {len(wrong)} wrong", flush=True)
    for text in wrong:
        print(text, file=sys.stderr, flush=True)
    return wrong


def main() -> int:
    """Kill as the command line says; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--kills", type=int, default=240, help="number of kills, over all runs (default: 240)"
    )
    parser.add_argument("--only", default="", help="runs whose name contains this text")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32, help="seed of the random moments")
    options = parser.parse_args()
    print(f"--seed {options.seed}")
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="dmix-kills-") as place:
        os.chdir(place)
        for name in ("params.yaml", "params", "reference"):
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, name)
        embed(Path("data"))
        helper._import_everything()
        found, shown = jobs(load_grid(TIER), options.only)
        wrong = []
        for job in found:
            own = 0
            if job in shown:
                position = shown.index(job)
                own = options.kills // len(shown) + (position < options.kills % len(shown))
            wrong += kills_of(job, own, rng)
        print(f"{options.kills} kills of {len(shown)} jobs, {len(wrong)} wrong")
        os.chdir("/")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
