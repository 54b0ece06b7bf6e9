"""Find the memory of this machine's devices, and say how many processes it is enough for."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dmix.devices.find import LIST_SECONDS, Device

RESERVE = 0.1
"""Share of a device's memory that is left free: for cuDNN's trials, and what splitting into blocks wastes."""
CONTEXT_MB = 600.0
"""Memory in MiB that CUDA itself takes for each process, beside torch's tensors: 300 to 600."""
CPU = "cpu"
"""How torch names the CPU."""
PROFILE = re.compile(r" MIG \S*?(\d+)gb")
QUERY = ("nvidia-smi", "--query-gpu=uuid,memory.total", "--format=csv,noheader,nounits")


@dataclass(frozen=True)
class DeviceKind:
    """Devices of this machine that are alike.

    Attributes
    ----------
    title: how torch names them; "" where it is unknown. memory_mb: of one, in MiB; None where it is unknown.
    """

    title: str
    memory_mb: float | None

    def __str__(self) -> str:
        return self.title or "a device without a name"

    def is_device(self, device: str) -> bool:
        """Return whether a device, as torch names it, is one of these."""
        return bool(self.title) and device == self.title

    def has_room(self, memory_mb: float, count: int = 1) -> bool:
        """Return whether so many processes of `memory_mb` MiB each fit; where memory is unknown, one does."""
        if self.memory_mb is None:
            return count == 1
        return has_room(self.memory_mb, memory_mb, count, 0.0 if self.title == CPU else CONTEXT_MB)


def has_room(device_mb: float, memory_mb: float, count: int = 1, context_mb: float = CONTEXT_MB) -> bool:
    """Return whether `count` processes fit a device, which keeps its reserve.

    Parameters
    ----------
    device_mb: memory of the device in MiB. memory_mb: of one process's tensors. context_mb: what each process
        takes beside them.
    """
    return count * (memory_mb + context_mb) <= (1 - RESERVE) * device_mb


def kinds(devices: Sequence[Device]) -> tuple[DeviceKind, ...]:
    """Return the kinds of some devices of this machine, each once.

    Slots on the CPU have equal parts of the machine's memory; a MIG instance has the gigabytes in the name of
    its profile.
    """
    cards = _cards_mb() if any(not device.on_cpu for device in devices) else {}
    slots = sum(device.on_cpu for device in devices)

    def kind(device: Device) -> DeviceKind:
        if device.on_cpu:
            return DeviceKind(CPU, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20 / slots)
        if profile := PROFILE.search(device.title):
            return DeviceKind(device.title, float(profile[1]) * 1e9 / 2**20)
        return DeviceKind(device.title, cards.get(device.name))

    return tuple(dict.fromkeys(map(kind, devices)))


def _cards_mb() -> Mapping[str, float]:
    """Return UUID -> memory in MiB of each GPU; none where nvidia-smi does not say it."""
    try:
        done = subprocess.run(QUERY, capture_output=True, text=True, timeout=LIST_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    rows = (line.split(", ") for line in done.stdout.splitlines())
    return {row[0]: float(row[1]) for row in rows if len(row) == 2 and row[1].strip().isdigit()}
