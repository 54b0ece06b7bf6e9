"""`dmix plan`: prints what would train, by table and by claim, or what a budget of hours decides."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections import Counter
from collections.abc import Iterator

from dmix.errors import DmixError
from dmix.grid.expand import Grid, load_grid
from dmix.grid.gpus import Gpu, read_gpu
from dmix.grid.plan import Plan, hours_of, make_plan
from dmix.grid.status import TO_TRAIN


def run(options: argparse.Namespace) -> int:
    """Print what would train, by table and by claim; or choose what to run next."""
    grid = load_grid(options.tier)
    gpu = read_gpu(options.gpu) if options.gpu else None
    if options.budget is not None:
        return _budget(grid, gpu, options)
    if options.select:
        raise DmixError("--select names the selection of a budget", "say --budget HOURS too")
    found = make_plan(grid, gpu)
    by_claim = list(_claim_lines(grid, gpu, found))
    if options.json:
        listed = [dataclasses.asdict(line) for line in found.lines]
        claims = [dict(zip(("claim", "runs", "to_train", "hours"), line, strict=True)) for line in by_claim]
        print(json.dumps({"tier": grid.tier, "tables": listed, "claims": claims, "blocked": found.blocked}))
        return 0
    print(f"tier {grid.tier}: {grid.params.tiers[grid.tier].title}")
    headings = ("runs", "done", "to train", "blocked", "hours")
    print("table".ljust(10) + "".join(f"{heading:>10}" for heading in headings) + "   not yet implemented")
    for line in found.lines:
        counts = (line.runs, line.done, line.to_train, line.blocked, f"{line.hours:,.1f}")
        unbuilt = f"{line.unimplemented} runs" if line.unimplemented else "none"
        print(line.table.ljust(10) + "".join(f"{count:>10}" for count in counts) + f"   {unbuilt}")
    print(
        f"hours of one {options.gpu or 'device'}: measured on this tier where it has run, else {_basis(gpu)}"
    )
    print("a run that two tables share is counted in both, and once in all")
    if by_claim:
        print("claim".ljust(40) + "".join(f"{heading:>10}" for heading in ("runs", "to train", "hours")))
        for claim, runs, to_train, hours in by_claim:
            print(f"{claim:40}{runs:>10}{to_train:>10}{hours:>10,.1f}")
    for way_out, runs in found.blocked.most_common():
        print(f"{runs} blocked: {way_out}")
    missing = sorted({part for name in grid.runs for part in grid.missing(name)})
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
    return 0


def _basis(gpu: Gpu | None) -> str:
    """Return where estimated hours are from."""
    if gpu is None:
        return "estimated"
    return "estimated at a speed that is " + " or ".join(sorted(set(gpu.basis.values())))


def _claim_lines(grid: Grid, gpu: Gpu | None, found: Plan) -> Iterator[tuple[str, int, int, float]]:
    """Yield claim, runs, runs to train or blocked, and their hours; nothing of tiers that decide no claim."""
    if grid.params.tiers[grid.tier].edition == "embedded":
        return
    from dmix.claims.load import load_claims
    from dmix.claims.plan import runs_by_claim

    hours = hours_of(grid, gpu)
    for claim, names in runs_by_claim(load_claims(grid.params), grid).items():
        left = [name for name in names if found.statuses[name].state in (*TO_TRAIN, "blocked")]
        yield claim, len(names), len(left), sum(hours[name] for name in left)


def _budget(grid: Grid, gpu: Gpu | None, options: argparse.Namespace) -> int:
    """Choose the runs that decide the most claims, write them as a selection, and say what is left out."""
    if not 0 < options.budget < float("inf"):
        raise DmixError(f"a budget of {options.budget} hours buys nothing", "give a number above 0")
    from dmix.claims.build import verdicts_of
    from dmix.claims.plan import open_claims
    from dmix.grid.budget import choose
    from dmix.grid.paths import runs_folder
    from dmix.grid.select import write_selection

    unsettled = open_claims(verdicts_of(grid, runs_folder(grid.tier)), grid)
    found = choose(unsettled.needs, hours_of(grid, gpu), options.budget)
    name = options.select or f"budget-{options.budget:g}h".replace(".", "_")
    text = [f"# dmix plan --tier {grid.tier} --budget {options.budget:g}: {found.hours:.1f} hours"]
    for step in found.steps:
        text += [f"# {step.claim}: {step.hours:.1f} hours", *step.runs]
    if options.json:
        steps = [dataclasses.asdict(step) for step in found.steps]
        print(json.dumps({"steps": steps, "left_out": found.left_out, "cannot": unsettled.cannot}))
    else:
        counted = f"{len(found.steps)} claims, {len(found.runs)} runs"
        print(f"{counted}, {found.hours:.1f} of {options.budget:g} hours")
        for step in found.steps:
            print(f"  {step.claim:40}{len(step.runs):>6} more runs{step.hours:>10.1f} hours")
        for claim, hours in sorted(found.left_out.items(), key=lambda item: item[1]):
            print(f"  left out: {claim}: {hours:.1f} hours more")
        for claim, why in unsettled.cannot.items():
            print(f"  left out: {claim}: {why}")
    if found.runs:
        path = write_selection(grid.tier, name, text)
        if not options.json:
            print(f"written to {path}; train them with")
            print(
                "  snakemake selected --profile workflows/profiles/local "
                f"--config tier={grid.tier} select={name}"
            )
            print(f"  dmix status --tier {grid.tier} --select {name}")
    return 0
