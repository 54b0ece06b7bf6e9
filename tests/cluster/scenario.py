"""What happens in the cluster test: `prepare` makes this folder a project of eight runs, `run` disturbs them.

In the copied source one run always fails, checkpoints are closer, and a step takes longer while `slow` is
there, so that each event finds its run at work on any machine; that changes no number.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import yaml

from dmix.grid.expand import Grid, load_grid
from dmix.grid.includes import read_params
from dmix.grid.paths import RunPaths
from dmix.record import read_record

TIER = "smoke"
CELL = "supervised/cifar10/resnet18"
LONG = [
    f"{CELL}/{way}/s0" for way in ("vanilla/ce", "mixup/mce", "mixup/dm_ce", "cutmix/mce", "cutmix/dm_ce")
]
SHORT = [f"{CELL}/resizemix/{objective}/s0" for objective in ("mce", "dm_ce")]
FAILS = f"{CELL}/fmix/mce/s0"
REASON = "broken for the test"
OVERRIDES = [
    {
        "when": {"recipe": "cifar", "dataset": "cifar10", "policy": policy},
        "set": {"recipe.epochs": 100},
        "why": "400 steps",
    }
    for policy in ("vanilla", "mixup", "cutmix")
]
SLOW = Path("slow")
EDIT = f"""\
        if "{FAILS}" in self.paths.folder:
            raise RuntimeError("{REASON}")
        if __import__("os").path.exists("{SLOW}"):
            time.sleep(0.4)
"""
OUTAGE_SECONDS = 35
SAVED_AFTER = 15
"""Seconds after which the controller's state on disk has a job that it started. To a controller that does not
know of it, a job is a duplicate, and SLURM drains its node."""
PROFILE = ("snakemake", "--profile", "workflows/profiles/slurm", "--config", f"tier={TIER}")
PATIENCE = 900.0
"""Seconds to wait for any one event, many times what it takes on an idle machine."""
BEGUN = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - BEGUN:.0f} s] {text}", flush=True)


def await_(what: str, seen: Callable[[], object]) -> None:
    """Wait until `seen()` is true."""
    end = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.2)


def prepare() -> None:
    file = Path("params.yaml")
    params = read_params(file).data
    params["tiers"][TIER]["overrides"] = OVERRIDES
    file.write_text(yaml.safe_dump(params, sort_keys=False))
    watched = "        if watch:\n            watch.update()\n"
    edit(Path("src/dmix/job/session.py"), watched, EDIT + watched)
    edit(Path("src/dmix/arguments.py"), "default=600.0,", "default=30.0,")
    subprocess.run(["dmix", "data", "embed"], check=True, stdout=subprocess.DEVNULL)
    load_grid(TIER)


def edit(path: Path, old: str, new: str) -> None:
    source = path.read_text()
    assert source.count(old) == 1, (path, old)
    path.write_text(source.replace(old, new))


class Cluster:
    """The runs of this folder, as they are trained on the private SLURM."""

    def __init__(self, minislurm: str) -> None:
        self.grid: Grid = load_grid(TIER)
        self.minislurm = minislurm
        self.log = Path("../driver.log").resolve()

    def paths(self, name: str) -> RunPaths:
        return RunPaths(TIER, self.grid.folders[name])

    def step(self, name: str) -> int:
        """Return the step at which a run is, 0 while it does not train."""
        try:
            return int(json.loads(self.paths(name).progress.read_text())["step"])
        except (OSError, ValueError, KeyError):
            return 0

    def host(self, name: str) -> str:
        return str(json.loads(self.paths(name).progress.read_text())["host"])

    def job(self, name: str) -> str:
        return str(json.loads(self.paths(name).lock.read_text())["job"])

    def failure(self, name: str) -> str:
        try:
            return self.paths(name).failure.read_text()
        except OSError:
            return ""

    def slurm(self, *arguments: str) -> None:
        subprocess.run([self.minislurm, *arguments], check=True)

    def records(self) -> dict[str, str]:
        """Return name -> digest of the record, of the runs that are finished."""
        names = [*LONG, *SHORT]
        paths = {name: self.paths(name).record for name in names}
        return {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in paths.items()
            if path.exists()
        }

    @contextmanager
    def driver(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start the driver as a user would; kill it, and nothing of SLURM, at the end."""
        targets = [str(self.paths(name).record) for name in (*LONG, *SHORT, FAILS)]
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                [*PROFILE, "--", *targets], stdout=log, stderr=log, start_new_session=True
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def told(self, *words: str) -> bool:
        """Return whether a line of the driver has all of these words."""
        return any(all(word in line for word in words) for line in self.log.read_text().splitlines())


def refused_partition(cluster: Cluster) -> None:
    """A partition that is not there: one refusal, in sbatch's words, and no job."""
    targets = [str(cluster.paths(name).record) for name in LONG]
    done = subprocess.run(
        [*PROFILE, "--default-resources", "slurm_partition=nowhere", "--", *targets],
        capture_output=True,
        text=True,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 1, output
    assert output.count("invalid partition specified: nowhere") == 1, output
    assert "slurm_partition" in output
    assert jobs_by_run(cluster) == {}, "a job was submitted"
    say("a partition that is not there: refused once")


def jobs_by_run(cluster: Cluster) -> dict[str, list[str]]:
    """Return name -> states of all jobs that SLURM ever had for the run."""
    listed = subprocess.run(
        ["squeue", "--noheader", "--states=all", "--format=%T|%k"], check=True, capture_output=True, text=True
    )
    comments = {
        f"rule_train_wildcards_{folder.replace('/', '_')}": name
        for name, folder in cluster.grid.folders.items()
    }
    found: dict[str, list[str]] = {}
    for line in listed.stdout.splitlines():
        state, comment = line.strip().split("|", 1)
        found.setdefault(comments[comment], []).append(state)
    return found


def youngest_job() -> float:
    """Return for how many seconds all running jobs have run."""
    listed = subprocess.run(
        ["squeue", "--noheader", "--states=RUNNING", "--format=%S"],
        check=True,
        capture_output=True,
        text=True,
    )
    starts = (datetime.fromisoformat(line.strip()) for line in listed.stdout.splitlines())
    return min((datetime.now() - start).total_seconds() for start in starts)


def roles(cluster: Cluster) -> tuple[str, list[str], list[str]]:
    """Return a node with the fewest long runs, but not none, those runs, and all others."""
    hosts = {name: cluster.host(name) for name in LONG}
    count = {host: list(hosts.values()).count(host) for host in hosts.values()}
    assert len(count) > 1, f"all runs are on one node: {hosts}"
    node = min(count, key=lambda host: (count[host], host))
    return (
        node,
        [name for name in LONG if hosts[name] == node],
        [name for name in LONG if hosts[name] != node],
    )


def disturb(cluster: Cluster, local: threading.Thread) -> dict[str, int]:
    """Do all to the first driver's jobs that can happen; return name -> step of what was stopped."""
    await_("all long runs to train", lambda: all(cluster.step(name) >= 10 for name in LONG))
    node, lost, others = roles(cluster)
    assert len(others) >= 3, "too few runs on the other nodes"
    cancelled, stopped, late = others[:3]
    await_("a checkpoint", lambda: all(cluster.paths(name).checkpoint.exists() for name in lost))
    seen = dict.fromkeys(lost, 1)

    cluster.slurm("kill", node)
    say(f"node {node} is dead, with {len(lost)} long runs")

    await_("SLURM to have saved what it started", lambda: youngest_job() > SAVED_AFTER)
    cluster.slurm("controller", "kill")
    say("the controller is dead; meanwhile, the same runs train locally with nobody in their way")
    local.start()
    time.sleep(OUTAGE_SECONDS)
    await_("the driver to notice", lambda: cluster.told("controller does not answer"))
    cluster.slurm("controller", "start")
    await_("the driver to see it again", lambda: cluster.told("controller answers again"))
    say("the controller is back, and the driver goes on")

    seen[cancelled] = cluster.step(cancelled)
    subprocess.run(["scancel", cluster.job(cancelled)], check=True)
    seen[stopped] = cluster.step(stopped)
    subprocess.run(["scancel", "--signal=TERM", cluster.job(stopped)], check=True)
    say(f"cancelled {cancelled} at step {seen[cancelled]}; SIGTERM to {stopped} at step {seen[stopped]}")
    seen[late] = cluster.step(late)
    subprocess.run(["scontrol", "update", f"JobId={cluster.job(late)}", "TimeLimit=1"], check=True)
    for name, word in ((cancelled, "CANCELLED"), (stopped, "FAILED"), (late, "TIMEOUT")):
        await_(f"{word} of {name}", lambda name=name, word=word: cluster.told(name, word, "goes on"))
    for name in lost:
        await_(f"NODE_FAIL of {name}", lambda name=name: cluster.told(name, "NODE_FAIL"))
        assert f" on {node}: NODE_FAIL" in cluster.failure(name), "failure.txt does not name the node"
    say("all three were taken up again, and the node's runs are queued again")
    return seen


def check_status() -> None:
    done = subprocess.run(["dmix", "status", "--tier", TIER], capture_output=True, text=True)
    assert done.returncode == 1, done.stdout
    assert FAILS in done.stdout, done.stdout
    assert REASON in done.stdout, done.stdout
    listed = json.loads(
        subprocess.run(["dmix", "status", "--tier", TIER, "--json"], capture_output=True, text=True).stdout
    )
    assert list(listed["failed"]) == [FAILS], listed["failed"]
    say(f"dmix status: {FAILS} failed: {listed['failed'][FAILS]['reason']}")


def check_records(cluster: Cluster, alone: Path, seen: dict[str, int]) -> None:
    """Require that every record but that of the failing run is the one of an undisturbed local run."""
    for name in (*LONG, *SHORT):
        results = cluster.paths(name).results
        record, reference = read_record(results / "record.json"), read_record(alone / results / "record.json")
        assert reference.resumes == 0
        assert record.weights_sha256 == reference.weights_sha256, f"{name}: other weights"
        assert record.scores == reference.scores, f"{name}: other scores"
        history = (results / "history.csv").read_bytes()
        assert history == (alone / results / "history.csv").read_bytes(), f"{name}: another history"
        assert (record.resumes > 0) == (name in seen), f"{name} was resumed {record.resumes} times"
    for name, step in seen.items():
        log = cluster.paths(name).log.read_text()
        resumed = re.search(r"continuing at step (\d+) of", log)
        assert resumed is not None, f"{name} did not go on:\n{log}"
        assert int(resumed[1]) >= step, f"stopped at step {step}, but:\n{log}"
    assert not cluster.paths(FAILS).record.exists()
    say(f"{len(LONG) + len(SHORT)} records are those of an undisturbed local run, bit for bit")


def check_jobs(cluster: Cluster, seen: dict[str, int]) -> None:
    """Require that nothing was submitted twice: not what was finished, nor what ran when the driver died."""
    jobs = jobs_by_run(cluster)
    for name in (*LONG, *SHORT):
        assert jobs[name].count("COMPLETED") == 1, f"{name}: {jobs[name]}"
    for name in {*LONG, *SHORT} - seen.keys():
        assert jobs[name] == ["COMPLETED"], f"{name} was submitted again: {jobs[name]}"
    say(f"jobs: { {name.removeprefix(CELL + '/'): states for name, states in jobs.items()} }")


def train_alone(alone: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(alone / "src"), "OMP_NUM_THREADS": "1"}
    for name in (*LONG, *SHORT):
        subprocess.run(
            ["dmix", "train", name, "--tier", TIER, "--preload"],
            cwd=alone,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    say("the same runs are trained locally")


def run(alone: Path, minislurm: str) -> None:
    cluster = Cluster(minislurm)
    refused_partition(cluster)
    SLOW.touch()
    local = threading.Thread(target=train_alone, args=(alone,))
    with cluster.driver() as driver:
        seen = disturb(cluster, local)
        await_("the short runs", lambda: all(name in cluster.records() for name in SHORT))
        assert driver.poll() is None, "the driver ended"
    before = cluster.records()
    say(f"the driver is dead (SIGKILL); {len(before)} records are there")
    SLOW.unlink()
    with cluster.driver() as driver:
        end = time.monotonic() + PATIENCE
        while driver.poll() is None:
            assert time.monotonic() < end, "the second driver does not end"
            time.sleep(0.5)
        assert driver.returncode == 1, f"it ended with {driver.returncode}, although {FAILS} fails"
    local.join()
    assert cluster.told("jobs of an earlier driver are still in the queue"), "no job was followed"
    after = cluster.records()
    assert {name: after[name] for name in before} == before, "a finished run was trained again"
    check_status()
    check_records(cluster, alone, seen)
    check_jobs(cluster, seen)


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare()
    else:
        run(Path(sys.argv[2]), sys.argv[3])
