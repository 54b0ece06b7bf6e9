"""Share the devices of one machine by the jobs of a workflow: how much each takes, and its options."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from dmix.devices.find import Device
from dmix.errors import DmixError

MOST_PACKED = 64
MOST_WORKERS = 16
"""More processes that read images help no run."""


@dataclass(frozen=True)
class Server:
    """The devices of one machine and how many runs share one.

    A device counts as `units` in the workflow's resources, which every number of runs on it divides.

    Attributes
    ----------
    packing: run -> how many like it share a device; 1 for runs that it does not name.
    cores: of the machine, for all runs together.
    """

    devices: tuple[Device, ...]
    packing: Mapping[str, int]
    cores: int

    @property
    def units(self) -> int:
        """Units of one device."""
        return math.lcm(*{*self.packing.values()})

    @property
    def capacity(self) -> int:
        """Units of all devices together."""
        return self.units * len(self.devices)

    def packed(self, run: str) -> int:
        """Return how many runs like this one share a device."""
        return self.packing.get(run, 1)

    def needed(self, run: str, processes: int = 1) -> int:
        """Return the units that a run takes, on as many devices as it has processes.

        Raises
        ------
        DmixError: it has more processes than there are devices.
        """
        if processes > len(self.devices):
            raise DmixError(
                f"{run}: {processes} processes, each with a device, on {len(self.devices)} devices",
                "lower the number for its recipe, `processes` in settings.yaml of the profile",
            )
        return processes * self.units // self.packed(run)

    def share(self, run: str) -> int:
        """Return the cores of one process of a run when all devices are full, at least one."""
        return max(1, self.cores // (len(self.devices) * self.packed(run)))

    def lease(self, run: str) -> str:
        """Return the options of a job that lease a device for it, for a shell."""
        names = ",".join(device.name for device in self.devices)
        return f"--devices {shlex.quote(names)} --per-device {self.packed(run)}"

    def workers(self, run: str) -> str:
        """Return the option of a job that says how many processes read its images, "" for its default.

        On GPUs that is all cores, which jobs on several GPUs would use several times over.
        """
        if any(device.on_cpu for device in self.devices):
            return ""
        return f"--workers {min(MOST_WORKERS, self.share(run))}"
