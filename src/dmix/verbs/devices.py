"""`dmix devices`: shows the devices of this machine, and which job has which."""

from __future__ import annotations

import argparse

from dmix.devices.find import ALL, find_devices, list_cards
from dmix.devices.leases import Ticket, tickets
from dmix.verbs.common import tell


def run(options: argparse.Namespace) -> int:
    """Show the devices of this machine, and which job has which."""
    filed = tickets()
    titles: dict[str, str] = {}
    if options.devices or list_cards():
        titles = {device.name: device.title for device in find_devices(options.devices or ALL)}
    if not titles:
        tell("no GPU: nvidia-smi lists none, or is not installed")
    held = [ticket.device for ticket in filed if ticket.device]
    for name in dict.fromkeys([*titles, *(held if not options.devices else ())]):
        jobs = [ticket for ticket in filed if ticket.device == name]
        tell(f"{name}{_bracketed(titles.get(name, ''))}: {', '.join(map(_told, jobs)) or 'free'}")
    for ticket in filed:
        if not ticket.device:
            tell(f"waiting: {_told(ticket)}, for {', '.join(ticket.wanted)}")
    return 0


def _bracketed(title: str) -> str:
    return f" ({title})" if title else ""


def _told(ticket: Ticket) -> str:
    share = "" if ticket.share == 1 else f", {ticket.share} of it"
    return f"{ticket.label} (process {ticket.pid}{share})"
