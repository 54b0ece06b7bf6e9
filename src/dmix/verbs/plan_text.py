"""Prints a plan for people."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from dmix.grid.cost import BASES
from dmix.grid.expand import Grid
from dmix.grid.gpus import DEFAULT, Gpu
from dmix.grid.plan import Plan
from dmix.grid.sharing import Sharing, way_out
from dmix.verbs.choosing import wanted_by

Claims: TypeAlias = Iterator[tuple[str, int, int, float]]
"""Claim, its runs, how many are to train, their hours."""

SHOWN = 3


def print_plan(
    grid: Grid,
    gpu: Gpu | None,
    found: Plan,
    claims: Sequence[tuple[str, int, int, float]],
    options: argparse.Namespace,
) -> None:
    """Print runs, hours and days by table, then the cost of all, claims, and what stands in the way."""
    print(f"tier {grid.tier}: {grid.params.tiers[grid.tier].title}")
    if chosen := _choice(options):
        print(f"chosen: {chosen}")
    headings = ("runs", "done", "to train", "blocked", "hours", "days")
    print("table".ljust(10) + "".join(f"{heading:>10}" for heading in headings) + "   not yet implemented")
    for line in found.lines:
        counts = (
            line.runs,
            line.done,
            line.to_train,
            line.blocked,
            f"{line.hours:,.1f}",
            f"{line.days:,.2f}",
        )
        unbuilt = f"{line.unimplemented} runs" if line.unimplemented else "none"
        print(line.table.ljust(10) + "".join(f"{count:>10}" for count in counts) + f"   {unbuilt}")
    print("a run that two tables share is counted in both, and once in all")
    for text in (*_time(grid, gpu, found, options.gpus), *_space(gpu, found)):
        print(text)
    if claims:
        print("claim".ljust(40) + "".join(f"{heading:>10}" for heading in ("runs", "to train", "hours")))
        for claim, runs, to_train, hours in claims:
            print(f"{claim:40}{runs:>10}{to_train:>10}{hours:>10,.1f}")
    for command, count in found.blocked.most_common():
        print(f"{count} blocked: {command}")
    missing = sorted({part for name in found.statuses for part in grid.missing(name)})
    if missing:
        print(f"not yet implemented: {', '.join(missing)}")
    reasons = found.reasons(grid)
    if options.why:
        for because, count in found.accepted(grid).items():
            print(f"  {count} done by older code that dmix accept has shown to be equal: {because}")
        for name, reason in reasons.items():
            print(f"  {name}: {reason}")
    else:
        for reason, count in Counter(reasons.values()).most_common():
            print(f"  {count} to train: {reason}")
    if options.runs:
        _print_runs(found)


def _choice(options: argparse.Namespace) -> str:
    said = [f"--select {options.select}" if options.select else "", str(wanted_by(options))]
    return " ".join(filter(None, said))


def _time(grid: Grid, gpu: Gpu | None, found: Plan, gpus: int) -> Iterable[str]:
    schedule, bases = found.schedule, found.bases
    if not schedule.jobs:
        return
    constant = grid.params.tiers[grid.tier].estimate_seconds is not None
    device = gpu.name if gpu else "device" if constant else "GPU"
    devices = f"{gpus} {device}{'s' if gpus > 1 else ''}"
    shared = ", some on several" if any(len(job.gpus) > 1 for job in schedule.jobs.values()) else ""
    yield f"days on {devices}, one run on each at a time{shared}: {schedule.makespan / 24:,.2f}"
    yield (
        f"  no order of the runs takes less than {schedule.bound(gpus) / 24:,.2f}; the longest chain takes "
        f"{schedule.chain_hours:,.1f} hours: {', then '.join(schedule.chain)}"
    )
    assumed = "" if gpu or not bases["assumed"] else f", of {DEFAULT}: say --gpu NAME"
    parts = [
        f"{bases[basis]} runs {text}{assumed if basis == 'assumed' else ''}"
        for basis, text in BASES.items()
        if bases[basis]
    ]
    yield f"hours of one {device}: {'; '.join(parts)}"
    if bases["assumed"] or bases["scaled"]:
        yield "  measure them: dmix measure, with the same options, on the device itself"


def _space(gpu: Gpu | None, found: Plan) -> Iterable[str]:
    disk = found.disk
    data = ", ".join(f"{name} {size:,.1f}" for name, size in disk.data_gb.items())
    unknown = f"; {disk.unknown} runs not known (dmix measure)" if disk.unknown else ""
    yield (
        f"disk: {disk.total_gb:,.1f} GB: weights {disk.weights_gb:,.1f}{unknown}, checkpoints at most "
        f"{disk.checkpoints_gb:,.1f}, data {sum(disk.data_gb.values()):,.1f}{f' ({data})' if data else ''}"
    )
    yield from _memory(found) if gpu is None else _shares(gpu, found)


def _memory(found: Plan) -> Iterable[str]:
    known = {name: memory for name, cost in found.costs.items() if (memory := cost.memory_mb) is not None}
    if not known:
        yield "memory: not known before a run is finished or measured (dmix measure); --gpu NAME estimates it"
        return
    most = max(known, key=known.__getitem__)
    counted = f"known of {len(known)} of {len(found.costs)} runs"
    yield f"memory: at most {known[most] / 1024:,.1f} GiB, in {most}; {counted}"


def _shares(gpu: Gpu, found: Plan) -> Iterable[str]:
    """Yield the most memory of a process, and which runs need several GPUs or fit on none."""
    sharing = found.sharing
    if not sharing:
        return
    most = max(sharing, key=lambda name: sharing[name].memory.mb)
    estimated = sum(each.memory.basis == "estimated" for each in sharing.values())
    yield (
        f"memory of a process: at most {sharing[most].memory}, in {most}; estimated of {estimated} of "
        f"{len(sharing)} runs, else measured or of finished runs"
    )
    several: dict[int, list[str]] = {}
    too_large: dict[str, list[str]] = {}
    for name, each in sharing.items():
        if not each.fits:
            too_large.setdefault(way_out(each), []).append(name)
        elif each.processes > 1:
            several.setdefault(each.processes, []).append(name)
    for count, names in sorted(several.items()):
        yield f"  {len(names)} runs take {count} GPUs each, for their memory: {_some(names, sharing)}"
    for what, names in too_large.items():
        gpus = f"the {gpu.memory_gb:g} GB of {gpu.name}"
        yield f"  {len(names)} runs need more than {gpus}: {_some(names, sharing)}"
        yield f"    {what}"


def _some(names: Sequence[str], sharing: Mapping[str, Sharing]) -> str:
    shown = ", ".join(f"{name} ({sharing[name].memory})" for name in names[:SHOWN])
    return f"{shown}, ..." if len(names) > SHOWN else shown


def _print_runs(found: Plan) -> None:
    print(f"{'hours':>10}{'from hour':>11}{'to':>10}{'device':>8}{'MiB':>8}  basis     state     run")
    for name, status in found.statuses.items():
        if name not in found.costs:
            continue
        cost, job = found.costs[name], found.schedule.jobs.get(name)
        when = (f"{job.start:,.1f}", f"{job.end:,.1f}", ",".join(map(str, job.gpus))) if job else ("", "", "")
        memory = "" if cost.memory_mb is None else f"{cost.memory_mb:,.0f}"
        if name in found.sharing:
            own = found.sharing[name].memory
            memory = f"{'~' if own.basis == 'estimated' else ''}{own.mb:,.0f}"
        print(
            f"{cost.hours:>10,.2f}{when[0]:>11}{when[1]:>10}{when[2]:>8}{memory:>8}"
            f"  {cost.basis:<9} {status.state:<9} {name}"
        )
