"""`dmix plan`: prints what would train and what it costs, or what a budget of hours decides."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

from dmix.errors import DmixError
from dmix.grid.cost import Costs
from dmix.grid.damage import absent
from dmix.grid.expand import Grid, load_grid
from dmix.grid.finished import finished_runs, refuse_damaged
from dmix.grid.gpus import Gpu, read_gpu
from dmix.grid.memory import Memories
from dmix.grid.paths import RunPaths, weights_folder
from dmix.grid.plan import OPEN, Plan, make_plan
from dmix.grid.sharing import Sharing, fewest
from dmix.grid.status import TO_TRAIN
from dmix.grid.survey import survey
from dmix.verbs.choosing import chosen_by, save, wanted_by
from dmix.verbs.plan_text import Claims, print_plan

MOST_GPUS = 100_000


def run(options: argparse.Namespace) -> int:
    """Print what would train, by table and by claim; or choose what to run next."""
    grid = load_grid(options.tier)
    gpu = read_gpu(options.gpu) if options.gpu else None
    if not 1 <= options.gpus <= MOST_GPUS:
        raise DmixError(f"--gpus is {options.gpus}", f"give a number of GPUs in 1..{MOST_GPUS}")
    names = chosen_by(grid, options)
    if options.check:
        return _check(grid, names)
    done = finished_runs(grid.tier, grid.places)
    costs = Costs(grid, gpu, done=done)
    if options.budget is not None:
        return _budget(grid, costs, names, options)
    share = None if gpu is None else partial(_share, grid, Memories(grid, gpu, done=done), gpu)
    found = make_plan(grid, costs, names, options.gpus, options.tables or (), share, done)
    claims = list(_claims(grid, found))
    if options.json:
        print(json.dumps(_as_json(grid, gpu, found, claims, options.gpus)))
    else:
        print_plan(grid, gpu, found, claims, options)
    if options.save:
        remark = f"dmix plan --tier {grid.tier} {wanted_by(options)}".rstrip()
        if options.select:
            remark += f" --select {options.select}"
        _, told = save(grid, options.save, [f"{remark}: {found.lines[-1].hours:.1f} hours"], names)
        if not options.json:
            print(told)
    return 0


def _check(grid: Grid, names: Collection[str]) -> int:
    """Refuse the runs as a whole, as DVC records them, if some are not finished or not here.

    Raises
    ------
    DmixError: some are damaged or would train, or the weights of finished ones are absent.
    """
    refuse_damaged(grid)
    statuses = survey(grid, names).statuses
    open_runs = [name for name, status in statuses.items() if status.state in TO_TRAIN]
    if open_runs:
        raise DmixError(
            f"{len(open_runs)} runs that tier {grid.tier} asks for now are not done: {open_runs[0]}, ...",
            "if parameters or code were edited while others were trained, start again: what is finished is "
            "kept; dmix plan --why says what would train",
            exit_code=1,
        )
    done = [name for name, status in statuses.items() if status.state == "done"]
    lacking = [name for name in done if absent(RunPaths(grid.tier, grid.places[name]).weights)]
    if lacking:
        raise DmixError(
            f"the weights of {len(lacking)} runs of tier {grid.tier} are not here: {lacking[0]}, ...",
            f"run dvc pull {weights_folder(grid.tier)}; or, to render alone, make reproduce TIER={grid.tier}",
            exit_code=1,
        )
    print(f"{len(done)} runs of tier {grid.tier}: finished and here")
    return 0


def _share(grid: Grid, memories: Memories, gpu: Gpu, name: str, gpus: int) -> Sharing:
    return fewest(memories, gpu, grid.runs[name], gpus)


def _claims(grid: Grid, found: Plan) -> Claims:
    """Yield claim, runs, runs to train or blocked, and their hours, of claims that the chosen runs decide.

    Tiers of embedded data decide no claim.
    """
    if grid.params.tiers[grid.tier].edition == "embedded":
        return
    from dmix.claims.load import load_claims
    from dmix.claims.plan import runs_by_claim

    for claim, names in runs_by_claim(load_claims(grid.params), grid).items():
        if any(name not in found.statuses for name in names):
            continue
        left = [name for name in names if found.statuses[name].state in OPEN]
        yield claim, len(names), len(left), sum(found.costs[name].hours for name in left)


def _as_json(grid: Grid, gpu: Gpu | None, found: Plan, claims: list[Any], gpus: int) -> dict[str, Any]:
    jobs, schedule = found.schedule.jobs, found.schedule
    runs: dict[str, Any] = {}
    for name, status in found.statuses.items():
        runs[name] = {"state": status.state, "detail": status.detail}
        if name in found.costs:
            cost = found.costs[name]
            runs[name] |= {**dataclasses.asdict(cost), "hours": cost.hours}
            del runs[name]["seconds"]
        if name in jobs:
            runs[name] |= {"schedule": dataclasses.asdict(jobs[name])}
        if name in found.sharing:
            sharing = found.sharing[name]
            runs[name] |= {"sharing": {**dataclasses.asdict(sharing), "fits": sharing.fits}}
    return {
        "tier": grid.tier,
        "gpu": None if gpu is None else dataclasses.asdict(gpu),
        "gpus": gpus,
        "tables": [dataclasses.asdict(line) for line in found.lines],
        "claims": [dict(zip(("claim", "runs", "to_train", "hours"), line, strict=True)) for line in claims],
        "blocked": found.blocked,
        "hours": schedule.work,
        "days": schedule.makespan / 24,
        "days_at_least": schedule.bound(gpus) / 24,
        "critical_path": {"hours": schedule.chain_hours, "runs": schedule.chain},
        "bases": found.bases,
        "disk": {**dataclasses.asdict(found.disk), "total_gb": found.disk.total_gb},
        "runs": runs,
    }


def _budget(grid: Grid, costs: Costs, names: Collection[str], options: argparse.Namespace) -> int:
    """Choose the runs that decide the most claims, write them as a selection, and say what is left out."""
    if not 0 < options.budget < float("inf"):
        raise DmixError(f"a budget of {options.budget} hours buys nothing", "give a number above 0")
    from dmix.claims.build import verdicts_of
    from dmix.claims.plan import open_claims
    from dmix.grid.budget import choose
    from dmix.grid.paths import records_folder

    unsettled = open_claims(verdicts_of(grid, records_folder(grid.tier)), grid)
    inside = {claim: needs for claim, needs in unsettled.needs.items() if needs <= set(names)}
    outside = [claim for claim in unsettled.needs if claim not in inside]
    cannot = {**unsettled.cannot, **dict.fromkeys(outside, "needs runs that are not chosen")}
    hours = {name: costs[name].hours for name in names if not grid.missing(name)}
    found = choose(inside, hours, options.budget)
    if options.json:
        steps = [dataclasses.asdict(step) for step in found.steps]
        print(json.dumps({"steps": steps, "left_out": found.left_out, "cannot": cannot}))
    else:
        counted = f"{len(found.steps)} claims, {len(found.runs)} runs"
        print(f"{counted}, {found.hours:.1f} of {options.budget:g} hours")
        for step in found.steps:
            print(f"  {step.claim:40}{len(step.runs):>6} more runs{step.hours:>10.1f} hours")
        for claim, left in sorted(found.left_out.items(), key=lambda item: item[1]):
            print(f"  left out: {claim}: {left:.1f} hours more")
        for claim, why in cannot.items():
            print(f"  left out: {claim}: {why}")
    if found.runs:

        def lines() -> Iterator[str]:
            for step in found.steps:
                yield f"# {step.claim}: {step.hours:.1f} hours"
                yield from step.runs

        name = options.save or f"budget-{options.budget:g}h".replace(".", "_")
        remark = f"dmix plan --tier {grid.tier} --budget {options.budget:g}: {found.hours:.1f} hours"
        _, told = save(grid, name, [remark], lines())
        if not options.json:
            print(told)
    return 0
