"""Prints a plan for people."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from dmix.grid.cost import BASES
from dmix.grid.expand import Grid
from dmix.grid.gpus import DEFAULT, Gpu
from dmix.grid.plan import Plan
from dmix.verbs.choosing import wanted_by

Claims: TypeAlias = Iterator[tuple[str, int, int, float]]
"""Claim, its runs, how many are to train, their hours."""


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
    for way_out, count in found.blocked.most_common():
        print(f"{count} blocked: {way_out}")
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
    yield f"days on {devices}, one run on each at a time: {schedule.makespan / 24:,.2f}"
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
    known = {name: memory for name, cost in found.costs.items() if (memory := cost.memory_mb) is not None}
    if not known:
        yield "memory: not known before a run is finished or measured (dmix measure)"
        return
    most = max(known, key=known.__getitem__)
    counted = f"known of {len(known)} of {len(found.costs)} runs"
    yield f"memory: at most {known[most] / 1024:,.1f} GiB, in {most}; {counted}"
    if gpu:
        limit = gpu.memory_gb * 1e9 / 2**20
        if large := [name for name, memory in known.items() if memory > limit]:
            shown = ", ".join(large[:3])
            yield f"  {len(large)} runs need more than the {gpu.memory_gb:g} GB of one {gpu.name}: {shown}"


def _print_runs(found: Plan) -> None:
    print(f"{'hours':>10}{'from hour':>11}{'to':>10}{'device':>8}{'MiB':>8}  basis     state     run")
    for name, status in found.statuses.items():
        if name not in found.costs:
            continue
        cost, job = found.costs[name], found.schedule.jobs.get(name)
        when = (f"{job.start:,.1f}", f"{job.end:,.1f}", str(job.gpu)) if job else ("", "", "")
        memory = "" if cost.memory_mb is None else f"{cost.memory_mb:,.0f}"
        print(
            f"{cost.hours:>10,.2f}{when[0]:>11}{when[1]:>10}{when[2]:>8}{memory:>8}"
            f"  {cost.basis:<9} {status.state:<9} {name}"
        )
