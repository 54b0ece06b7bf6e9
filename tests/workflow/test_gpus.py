"""Profile gpus on slots of the CPU: a run per device, or its share; records are those of profile local."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import defaultdict
from contextlib import chdir
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import pytest

from dmix.devices.leases import Ticket, tickets
from dmix.grid.expand import load_grid
from dmix.grid.speed import Speed, step_of, write_speeds
from dmix.record import Record, read_record
from job.conftest import lengthen
from project import Project

pytestmark = pytest.mark.slow
NAMES = [
    f"supervised/cifar10/resnet18/{policy}/{objective}/s0"
    for policy in ("mixup", "cutmix")
    for objective in ("mce", "dm_ce")
]
SETTINGS = "workflows/profiles/gpus/settings.yaml"
BITS = ("weights_sha256", "scores", "spec", "code_digest", "precision")


@dataclass
class Seen:
    """What was seen while a workflow ran: its tickets, the most runs in training at once, its output."""

    samples: list[list[Ticket]] = field(default_factory=list)
    training: int = 0
    output: str = ""
    killed: Ticket | None = None


def make(folder: Path, data: Path, **settings: str) -> Project:
    """Return a project whose runs take some hundred steps, and whose profile gpus has these settings."""
    project = Project.create(folder, data)
    lengthen(project)
    lines = (project.path / SETTINGS).read_text().splitlines()
    kept = [line for line in lines if not line.startswith("devices:")]
    (project.path / SETTINGS).write_text(
        "\n".join([*kept, *(f"{k}: {v}" for k, v in settings.items())]) + "\n"
    )
    return project


def folders(project: Project) -> dict[str, str]:
    """Return the folders of the runs; the project has the source that is imported here."""
    with chdir(project.path):
        known = load_grid("smoke").folders
        return {name: known[name] for name in NAMES}


def command(project: Project, profile: str) -> tuple[str, ...]:
    targets = (f"results/smoke/records/{folder}/record.json" for folder in folders(project).values())
    options = ("--profile", f"workflows/profiles/{profile}", "--cores", "4", "--quiet", "rules")
    return ("snakemake", *targets, *options, "--config", "tier=smoke")


def watch(project: Project, *, kill: bool = False) -> Seen:
    """Train by profile gpus and look who has what; `kill` one run (SIGKILL) while it trains."""
    seen = Seen()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMIX_LEASES", str(project.path / "leases"))
        process = project.start(*command(project, "gpus"))
        while process.poll() is None:
            seen.samples.append(tickets())
            training = list(project.path.glob("work/smoke/supervised/**/progress.json"))
            seen.training = max(seen.training, len(training))
            if kill and seen.killed is None and training:
                for ticket in seen.samples[-1]:
                    if any(ticket.label in str(path) for path in training):
                        os.kill(ticket.pid, signal.SIGKILL)
                        seen.killed = ticket
                        break
            time.sleep(0.02)
        seen.output, _ = process.communicate()
        assert process.returncode == 0, seen.output
        assert tickets() == []
    return seen


def records(project: Project) -> dict[str, Record]:
    runs = project.path / "results/smoke/records"
    return {name: read_record(runs / folder / "record.json") for name, folder in folders(project).items()}


def histories(project: Project) -> dict[str, bytes]:
    runs = project.path / "results/smoke/records"
    return {name: (runs / folder / "history.csv").read_bytes() for name, folder in folders(project).items()}


def fullest(seen: Seen) -> dict[str, Fraction]:
    """Return the largest sum of shares that each device ever had."""
    most: defaultdict[str, Fraction] = defaultdict(Fraction)
    for sample in seen.samples:
        sums: defaultdict[str, Fraction] = defaultdict(Fraction)
        for ticket in sample:
            if ticket.device:
                sums[ticket.device] += ticket.share
        for device, total in sums.items():
            most[device] = max(most[device], total)
    return dict(most)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, embedded_data: Path) -> Project:
    """A project that profile local trained."""
    project = make(tmp_path_factory.mktemp("local") / "project", embedded_data)
    done = project.run(*command(project, "local"), timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def assert_same(project: Project, local: Project) -> None:
    assert histories(project) == histories(local)
    alone = records(local)
    for name, record in records(project).items():
        assert {bits for bits in BITS if getattr(record, bits) != getattr(alone[name], bits)} == set()
        threads = [each.hardware.model_dump(exclude={"peak_memory_mb"}) for each in (record, alone[name])]
        assert threads[0] == threads[1]


def test_each_device_has_one_run_and_comes_back_from_a_killed_one(tmp_path, embedded_data, local):
    project = make(tmp_path / "project", embedded_data, devices="[cpu:0, cpu:1]")
    seen = watch(project, kill=True)
    assert fullest(seen) == {"cpu:0": 1, "cpu:1": 1}
    assert seen.training == 2
    work = project.path / "work/smoke"
    logs = {name: (work / folder / "log.txt").read_text() for name, folder in folders(project).items()}
    for name, log in logs.items():
        assert re.search(rf"^{name}: on cpu:[01]$", log, re.MULTILINE)
    # The killed run had a device again, in another process, and its own first one had another job.
    assert seen.killed is not None
    had = [each for sample in seen.samples for each in sample if each.device]
    assert len({each.pid for each in had if each.label == seen.killed.label}) == 2
    assert len({each.pid for each in had if each.device == seen.killed.device}) > 1
    assert_same(project, local)


def measured(project: Project) -> None:
    """Write measurements of the CPU: three runs together are faster than one, four no faster than three."""
    with chdir(project.path):
        runs = load_grid("smoke").runs
        write_speeds(
            Speed("cpu", step, count, "noise", rate, 1.0, 1.0, 1.0, 2.0, 9, "2.13.0", NAMES[0])
            for step in {step_of(runs[name]) for name in NAMES}
            for count, rate in ((1, 100.0), (3, 250.0), (4, 250.0))
        )


@pytest.mark.parametrize("packing", ["{cifar: 3}", "measured"])
def test_packed_runs_share_a_device_and_are_bit_identical(tmp_path, embedded_data, local, packing):
    project = make(tmp_path / "project", embedded_data, devices="[cpu:0]", packing=packing)
    if packing == "measured":
        measured(project)
    seen = watch(project)
    said = "dmix: packing by results/speed.csv on cpu: cifar 3 runs (2.5 x the images/s of one)"
    assert (said in seen.output) == (packing == "measured")
    assert fullest(seen) == {"cpu:0": 1}
    assert max(sum(bool(each.device) for each in sample) for sample in seen.samples) == 3
    assert {each.share for sample in seen.samples for each in sample} == {Fraction(1, 3)}
    assert_same(project, local)


def test_a_device_that_is_not_there_starts_nothing(tmp_path, embedded_data):
    project = make(tmp_path / "project", embedded_data, devices="[cpu:0, cpu:0]")
    done = project.run(*command(project, "gpus"))
    assert done.returncode != 0
    assert "the list of devices has cpu:0 twice" in done.stdout + done.stderr
    assert not (project.path / "results/smoke/records").exists()
