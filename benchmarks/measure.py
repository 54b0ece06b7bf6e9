"""Measures the speed of this machine, part by part, and prints all of it as one table.

    make gpu      python benchmarks/measure.py --device cuda
    make bench    python benchmarks/measure.py --device cpu

The most valuable part comes first. (tests) losses of the CPU, no wait for the device, stopped runs; (steps)
every policy and objective, on a GPU in float32, TF32 and bfloat16, beside a plain loop; (packed) several
small runs at a time; (rates) images/s and memory of the kinds of steps of tier day, which `dmix plan` then
uses; (recipes) whole recipes with their data; (feeds) FixMatch's images from the device and from Pillow;
(methods) transfer learning; (roofline) steps beside what the device could do; (overhead) Python in a step;
(strong) the strong augmentation; (grid) dry runs, status and plan; (activations) memory that a step keeps.

Each part is a command of its own and writes its CSV, with n and spread, into benchmarks/measured/<device>/
before the next one starts. A part whose CSV is there is left out, so that the same command goes on where it
was stopped; a part that fails is told, and the others go on. Exit code 1 if one failed or there was no time
for it.

    python benchmarks/measure.py [--device cpu|cuda] [--minutes N] [--parts NAME...] [--again] [--out FOLDER]

`--rehearse` takes every part on the CPU with the smallest sizes: its numbers mean nothing.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import table
import torch

from dmix.cores import job_cores
from dmix.engine.device import choose_device
from dmix.job import facts

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "benchmarks/measured"
REHEARSED = ROOT / "work/rehearsal"
DMIX = (sys.executable, "-m", "dmix.cli")
SPEED = "results/speed.csv"
PARAMETERS = ("params.yaml", "params", "reference", "src")
GRACE_SECONDS = 10
MINUTES = {"cuda": 9.0, "cpu": 60.0}


@dataclass(frozen=True)
class Part:
    """A command that measures.

    Attributes
    ----------
    command: {csv}, {xml} and {profile} stand for files that it writes, {device} for "cuda" or "cpu".
    rehearsed: further arguments with which it takes seconds on a CPU.
    """

    name: str
    command: tuple[str, ...]
    rehearsed: tuple[str, ...] = ()


def benchmark(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command of a script in this folder."""
    return (sys.executable, f"benchmarks/{name}.py", "--csv", "{csv}", *arguments)


ON = ("--device", "{device}")
MEASURE = (*DMIX, "measure", "--tier", "day", *ON)
PACKED = ("--policies", "mixup", "--datasets", "cifar100", "cifar10", "--together", "1", "2", "4", "8")
FEW = ("--tier", "day_smoke", "--policies", "mixup", "--datasets", "cifar100", "--seconds", "0.1")
TESTED = ("tests/cuda", "tests/data/test_strong.py", "tests/data/test_paired.py")
TESTS = (sys.executable, "-m", "pytest", "-q", "-n", "4", "-m", "gpu", "--junitxml", "{xml}", *TESTED)
STEPS = ("--rounds", "1", "--rehearse")
RECIPES = Part("recipes", benchmark("throughput", *ON), ("--rounds", "1", "--recipe", "cifar"))
FEEDS = Part("feeds", benchmark("fixmatch_throughput", *ON), ("--rounds", "1", "--workers", "1"))
METHODS = Part("methods", benchmark("method_step_time", *ON), ("--rounds", "1"))
ROOFLINE = Part("roofline", benchmark("roofline", *ON), ("--rounds", "1", "--recipe", "cifar"))
STRONG = Part(
    "strong",
    benchmark("strong_augmentation", *ON),
    ("--batch", "20", "--rounds", "1", "--seconds", "0"),
)
PARTS = {
    "cuda": (
        Part("tests", TESTS, ("-n", "2", "-k", "flexmatch or puzzlemix-mce or automix-dm_ce or test_strong")),
        Part(
            "steps",
            benchmark("step_time", *ON, "--precision", "fp32", "tf32", "bf16"),
            ("--precision", "fp32", "bf16", *STEPS),
        ),
        Part("packed", (*MEASURE, *PACKED, "--seconds", "3"), (*FEW, "--together", "1", "2")),
        Part("rates", (*MEASURE, "--seconds", "2"), FEW),
        FEEDS,
        METHODS,
        RECIPES,
        ROOFLINE,
        STRONG,
    ),
    "cpu": (
        Part("steps", benchmark("step_time", *ON), STEPS),
        RECIPES,
        ROOFLINE,
        Part(
            "overhead",
            benchmark("overhead", "--profile", "{profile}"),
            ("--rounds", "1", "--policies", "mixup", "automix"),
        ),
        FEEDS,
        STRONG,
        METHODS,
        Part("grid", benchmark("grid_scale"), ("--seeds", "1", "--repeats", "1")),
        Part("activations", benchmark("activations"), ("--backbones", "resnet18")),
    ),
}


def main() -> int:
    """Run what is not yet measured, as long as there is time, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=PARTS, default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--minutes", type=float, help="for all parts together (default: 9 on a GPU, else 60)")
    parser.add_argument("--parts", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--again", action="store_true", help="in place of what is measured already")
    parser.add_argument("--out", type=Path, help="folder (default: benchmarks/measured/<device>)")
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, with the smallest sizes")
    given = parser.parse_args()
    parts = {part.name: part for part in PARTS[given.device]}
    chosen = given.parts or list(parts)
    if unknown := [name for name in chosen if name not in parts]:
        parser.error(f"there is no part {unknown[0]} on this device; choose of {', '.join(parts)}")
    device = "cpu" if given.rehearse else given.device
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch sees no GPU: python benchmarks/measure.py --rehearse tries every part on the CPU")
    about = machine(device)
    usual = REHEARSED / given.device if given.rehearse else MEASURED / slug(about["device"])
    folder = (given.out or usual).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    replaced = set(chosen) if given.again else set()
    whole = {name for name in parts if (folder / f"{name}.csv").exists()} - replaced
    if whole and about not in table.read(folder / "machine.csv"):
        sys.exit(
            f"{folder} has parts of another machine or other versions: name another by --out, or add --again"
        )
    for name in replaced:
        (folder / f"{name}.csv").unlink(missing_ok=True)
    facts.git_state()  # before the files written here change the work tree
    write_rows(folder / "machine.csv", [about])
    deadline = time.monotonic() + 60 * (given.minutes or MINUTES[given.device])
    failed = [
        name
        for name in parts
        if name in chosen
        and name not in whole
        and not run(parts[name], folder, device, given.rehearse, deadline - time.monotonic())
    ]
    print(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}\n")
    print(table.write(folder))
    if failed:
        print(f"not measured: {', '.join(failed)}; the same command goes on", file=sys.stderr)
    return int(bool(failed))


def run(part: Part, folder: Path, device: str, rehearse: bool, seconds: float) -> bool:
    """Run one part for at most so many seconds; return whether its CSV is there and whole.

    The rows of a part that failed or was stopped are kept in <name>.partial.csv.
    """
    log, xml, partial = folder / f"{part.name}.log", folder / "tests.xml", folder / f"{part.name}.partial.csv"
    if seconds <= 0:
        print(f"{part.name}: no time is left")
        return False
    profile = folder / f"{part.name}_profile.txt"
    names = {"{device}": device, "{xml}": str(xml), "{csv}": str(partial), "{profile}": str(profile)}
    command = [names.get(word, word) for word in (*part.command, *(part.rehearsed if rehearse else ()))]
    measures = command[: len(DMIX)] == list(DMIX)
    where = mirror(folder) if measures and rehearse else ROOT
    started, load = time.monotonic(), os.getloadavg()[0]
    code = call(command, where, log, seconds)
    took = f"{time.monotonic() - started:.0f} s"
    if part.name == "tests" and xml.exists():
        write_rows(partial, outcomes(xml))
        xml.unlink()
    if measures and (where / SPEED).exists():
        shutil.copy(where / SPEED, partial)
    whole = code == 0 and partial.exists()
    if whole:
        partial.replace(folder / f"{part.name}.csv")
        note(folder / "parts.csv", part.name, load)
    last = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
    print(f"{part.name}: {'done' if code == 0 else f'failed ({code})'} in {took}: {last}", flush=True)
    return whole


def note(path: Path, part: str, load: float) -> None:
    """Note when a part was measured, with which code, and how busy the machine was when it started."""
    commit, changed = facts.git_state()
    row = {
        "part": part,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "commit": f"{(commit or 'unknown')[:10]}{' with changes' if changed else ''}",
        "load": f"{load:.1f}",
    }
    write_rows(path, [*(old for old in table.read(path) if old["part"] != part), row])


def mirror(folder: Path) -> Path:
    """Return a folder with the parameters and some data, whose measurements are not those of the checkout."""
    path = folder / "rehearsal"
    if not path.exists():
        path.mkdir()
        for name in PARAMETERS:
            (path / name).symlink_to(ROOT / name)
        if call((*DMIX, "data", "embed", "cifar100"), path, folder / "data.log", 600) != 0:
            sys.exit((folder / "data.log").read_text())
    return path


def call(command: Sequence[str], where: Path, log: Path, seconds: float) -> int | str:
    """Run a command, its output in `log`; return its exit code, or "no time" if it was stopped."""
    paths = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with log.open("w") as stream:
        stream.write(f"{' '.join(command)}\n")
        stream.flush()
        process = subprocess.Popen(
            command, cwd=where, env=environment, stdout=stream, stderr=stream, start_new_session=True
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            return "no time"


def outcomes(path: Path) -> list[dict[str, object]]:
    """Return a row for each test of pytest's XML: its name, outcome, seconds, and why it is not passed."""
    rows: list[dict[str, object]] = []
    for case in ET.parse(path).iter("testcase"):
        problem = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        outcome = "passed" if problem is None else problem.tag
        why = "" if problem is None else (problem.get("message") or "").partition("\n")[0]
        rows.append({"test": case.get("name"), "outcome": outcome, "seconds": case.get("time"), "why": why})
    return rows


def machine(device: str) -> dict[str, str]:
    """Return what one must know of the machine: device, host, memory, driver and versions."""
    hardware = facts.hardware(choose_device(device))
    name, memory, driver = hardware.host_cpu, "", ""
    if device == "cuda":
        name = hardware.device
        memory = f"{torch.cuda.get_device_properties(0).total_memory / 2**20:.0f}"
        asked = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=False,
        )
        driver = asked.stdout.strip().partition("\n")[0]
    return {
        "device": name,
        "host": hardware.host_cpu,
        "cores": str(job_cores()),
        "threads": str(hardware.threads),
        "memory_mb": memory,
        "driver": driver,
        "cudnn": str(torch.backends.cudnn.version() or ""),
        **facts.versions(),
    }


def slug(name: str) -> str:
    """Return the name of a device as that of a folder."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of equal keys as CSV."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]) if rows else ["test"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
