"""Lease a device for a job, and let CUDA show the job that device alone."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction

from dmix.devices.find import VISIBLE, find_devices
from dmix.devices.leases import Ticket, leased
from dmix.engine.distributed import launched, local_rank
from dmix.job.options import Options
from dmix.job.say import say


@contextmanager
def placed(options: Options, label: str) -> Iterator[Options]:
    """Lease one of `options.devices` as soon as one is free, and yield the options of a job that uses it.

    Without such a list nothing is leased. The processes that torchrun starts for one run get a device each,
    all at one time. CUDA looks up its devices when it is first used, so nothing may use it before the block.

    Parameters
    ----------
    label: the run, which `dmix devices` shows.

    Raises
    ------
    DmixError: there is no such device, or none can be leased.
    """
    if not options.devices:
        yield options
        return
    devices = {device.name: device for device in find_devices(options.devices)}
    together = launched()
    ticket = Ticket(
        label=label,
        wanted=tuple(devices),
        share=Fraction(1, options.per_device),
        pid=os.getpid(),
        group=_launch() if together else secrets.token_hex(8),
        rank=local_rank(),
        size=int(os.environ["LOCAL_WORLD_SIZE"]) if together else 1,
    )
    with leased(ticket, say) as given:
        own = devices[given[ticket.rank]]
        say(f"{label}: on {own.name}{own.title and f' ({own.title})'}")
        if not own.on_cpu:
            os.environ[VISIBLE] = ",".join(given)
        yield replace(options, device="cpu" if own.on_cpu else "cuda", devices="")


def _launch() -> str:
    """Return what the processes that one torchrun started on this machine have in common."""
    return f"{socket.gethostname()}-{os.getppid()}-{os.environ.get('TORCHELASTIC_RUN_ID', '')}"
