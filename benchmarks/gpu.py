"""Everything that is to be known of one GPU, in nine minutes: `make gpu`.

The most valuable part comes first: (tests) losses of the CPU, no wait for the device, stopped runs; (steps)
every policy and objective in float32, TF32 and bfloat16, beside a plain loop; (packed) several small runs at
a time; (rates) images/s and memory of the kinds of steps of tier day, which `dmix plan` then uses; (feeds)
FixMatch's images from the device and from Pillow; (methods) transfer learning; (recipes) whole recipes with
their data.

Each part is a command of its own and writes its CSV, with device, versions, n and spread, into
benchmarks/measured/<device>/ before the next one starts. A part whose CSV is there is left out, so that the
same command goes on where it was stopped; a part that fails is told, and the others go on. Exit code 1 if one
failed or there was no time for it.

    python benchmarks/gpu.py [--minutes 9] [--parts NAME...] [--again] [--out FOLDER]

Where there is no GPU, `--rehearse` takes every part on the CPU with the smallest sizes: its numbers mean
nothing.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
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

import torch

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "benchmarks/measured"
DMIX = (sys.executable, "-m", "dmix.cli")
SPEED = "results/speed.csv"
PARAMETERS = ("params.yaml", "params", "reference", "src")
GRACE_SECONDS = 10


@dataclass(frozen=True)
class Part:
    """A command that measures.

    Attributes
    ----------
    command: {csv} and {xml} stand for the file that it writes, {device} for "cuda" or "cpu".
    rehearsed: further arguments with which it takes seconds on a CPU.
    """

    name: str
    command: tuple[str, ...]
    rehearsed: tuple[str, ...] = ()


def benchmark(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command of a script in this folder."""
    return (sys.executable, f"benchmarks/{name}.py", "--device", "{device}", "--csv", "{csv}", *arguments)


MEASURE = (*DMIX, "measure", "--tier", "day", "--device", "{device}")
PACKED = ("--policies", "mixup", "--datasets", "cifar100", "cifar10", "--together", "1", "2", "4", "8")
FEW = ("--tier", "day_smoke", "--policies", "mixup", "--datasets", "cifar100", "--seconds", "0.1")
TESTED = ("tests/cuda", "tests/data/test_strong.py", "tests/data/test_paired.py")
TESTS = (sys.executable, "-m", "pytest", "-q", "-n", "4", "-m", "gpu", "--junitxml", "{xml}", *TESTED)
PARTS = (
    Part("tests", TESTS, ("-n", "2", "-k", "flexmatch or puzzlemix-mce or automix-dm_ce or test_strong")),
    Part(
        "steps",
        benchmark("step_time", "--precision", "fp32", "tf32", "bf16"),
        ("--precision", "fp32", "bf16", "--rounds", "1", "--rehearse"),
    ),
    Part("packed", (*MEASURE, *PACKED, "--seconds", "3"), (*FEW, "--together", "1", "2")),
    Part("rates", (*MEASURE, "--seconds", "2"), FEW),
    Part("feeds", benchmark("fixmatch_throughput"), ("--rounds", "1", "--workers", "1")),
    Part("methods", benchmark("method_step_time"), ("--rounds", "1")),
    Part("recipes", benchmark("throughput"), ("--rounds", "1", "--recipe", "cifar")),
)


def main() -> int:
    """Run what is not yet measured, as long as there is time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=9.0, help="for all parts together (default: 9)")
    parser.add_argument("--parts", nargs="+", choices=[part.name for part in PARTS], help="only these")
    parser.add_argument("--again", action="store_true", help="also what is measured already")
    parser.add_argument("--out", type=Path, help="folder (default: benchmarks/measured/<device>)")
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, with the smallest sizes")
    given = parser.parse_args()
    if not given.rehearse and not torch.cuda.is_available():
        sys.exit("torch sees no GPU: python benchmarks/gpu.py --rehearse tries every part on the CPU")
    device = "cpu" if given.rehearse else "cuda"
    about = facts(device)
    folder = (given.out or MEASURED / slug(about["device"])).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "machine.csv", [about])
    deadline = time.monotonic() + 60 * given.minutes
    open_ = [part for part in PARTS if not given.parts or part.name in given.parts]
    failed = [
        part.name
        for part in open_
        if (given.again or not (folder / f"{part.name}.csv").exists())
        and not run(part, folder, device, given.rehearse, deadline - time.monotonic())
    ]
    print(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")
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
    names = {"{device}": device, "{xml}": str(xml), "{csv}": str(partial)}
    command = [names.get(word, word) for word in (*part.command, *(part.rehearsed if rehearse else ()))]
    measures = command[: len(DMIX)] == list(DMIX)
    where = mirror(folder) if measures and rehearse else ROOT
    started = time.monotonic()
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
    last = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
    print(f"{part.name}: {'done' if code == 0 else f'failed ({code})'} in {took}: {last}", flush=True)
    return whole


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


def facts(device: str) -> dict[str, str]:
    """Return what one must know of the machine: device, memory, driver and versions."""
    name, memory, driver = platform.processor() or "cpu", "", ""
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        name, memory = properties.name, f"{properties.total_memory / 2**20:.0f}"
        asked = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=False,
        )
        driver = asked.stdout.strip().partition("\n")[0]
    return {
        "device": name,
        "memory_mb": memory,
        "driver": driver,
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "",
        "cudnn": str(torch.backends.cudnn.version() or ""),
        "python": platform.python_version(),
        "cores": str(os.cpu_count()),
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
