"""`dmix measure`: times training steps on this machine's device, for `dmix plan`."""

from __future__ import annotations

import argparse
import math

from dmix.errors import DmixError
from dmix.grid.expand import Grid, load_grid
from dmix.grid.speed import SPEED, Speed, Step, read_speeds, step_of, write_speeds
from dmix.verbs.choosing import chosen_by
from dmix.verbs.common import tell

MOST_SECONDS = 3600.0
MOST_TOGETHER = 64


def run(options: argparse.Namespace) -> int:
    """Measure one run of each training step among the chosen ones; return 1 if one could not be."""
    if not 0 < options.seconds <= MOST_SECONDS:
        raise DmixError(f"--seconds is {options.seconds}", f"give a number above 0, at most {MOST_SECONDS:g}")
    if not all(1 <= count <= MOST_TOGETHER for count in options.together):
        raise DmixError("--together is out of range", f"give numbers of runs in 1..{MOST_TOGETHER}")
    grid = load_grid(options.tier)
    wanted = steps_of(grid, chosen_by(grid, options))
    speeds = list(read_speeds())
    from dmix.job.measure import device_name, measure

    name = device_name(options.device)
    known = {(each.step, each.together) for each in speeds if each.device == name}
    todo = [(run, together) for run in wanted.values() for together in sorted(set(options.together))]
    if not options.again:
        todo = [(run, together) for run, together in todo if (step_of(grid.runs[run]), together) not in known]
    tell(f"{name}: {len(todo)} measurements, {len(wanted)} kinds of steps among the chosen runs")
    failed = 0
    for number, (run, together) in enumerate(todo, 1):
        spec, own_data = grid.runs[run], grid.blocked(run) is None
        try:
            found = measure(
                spec, own_data=own_data, device=options.device, seconds=options.seconds, together=together
            )
        except DmixError as error:
            failed += 1
            tell(f"{number}/{len(todo)} {run}: not measured: {error}")
            continue
        # Read again: another device of the same folder may have been measured in the meantime.
        write_speeds([*read_speeds(), found])
        tell(f"{number}/{len(todo)} {_line(found)}")
    tell(f"{SPEED}: {len(read_speeds())} measurements; dmix plan --tier {grid.tier} uses them")
    return int(failed > 0)


def steps_of(grid: Grid, names: tuple[str, ...]) -> dict[Step, str]:
    """Return training step -> one of the runs that have it: if possible, one whose data are here."""
    found: dict[Step, str] = {}
    for name in names:
        if grid.missing(name):
            continue
        step = step_of(grid.runs[name])
        if step not in found or (grid.blocked(found[step]) and not grid.blocked(name)):
            found[step] = name
    return found


def _line(speed: Speed) -> str:
    shared = f", {speed.together} together" if speed.together > 1 else ""
    noise = "" if speed.data == "own" else ", on noise"
    digits = max(0, 2 - math.floor(math.log10(speed.images_per_s)))
    return (
        f"{speed.run}: {speed.images_per_s:,.{digits}f} images/s in {speed.step.precision}{shared}{noise}; "
        f"{speed.memory_mb:,.0f} MiB; cold start {speed.cold_start_s:.1f} s; n = {speed.steps} steps"
    )
