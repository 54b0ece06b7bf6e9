"""`dmix evaluate`: evaluates the weights of one finished run."""

from __future__ import annotations

import argparse

from dmix.errors import DmixError
from dmix.job.versions import noted
from dmix.verbs.common import finished_files, grid_of_job, recording


@recording
def run(options: argparse.Namespace) -> int:
    """Evaluate one run by a kind of evaluation; without one again, as its recipe says, or on other images."""
    if options.kind is not None:
        return _by_kind(options)
    files = finished_files(options.tier, options.name)
    noted()
    from dmix.job.again import again
    from dmix.job.elsewhere import elsewhere
    from dmix.job.options import Options

    how = Options(
        options.device, workers=options.workers, devices=options.devices, per_device=options.per_device
    )
    return again(files, how) if options.on is None else elsewhere(files, options.on, how)


def _by_kind(options: argparse.Namespace) -> int:
    if options.on is not None:
        raise DmixError(f"--{options.kind} is of the run's own test images", "leave --on or it away")
    grid = grid_of_job(options)
    from dmix.job.evaluate import evaluate
    from dmix.job.options import Options

    how = Options(
        options.device, workers=options.workers, devices=options.devices, per_device=options.per_device
    )
    return evaluate(grid, options.kind, options.name, how)
