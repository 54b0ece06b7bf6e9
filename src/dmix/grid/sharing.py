"""Chooses how many processes, each with a device of its own, share one run: the fewest whose memory fits."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dmix.devices.memory import kinds
from dmix.devices.server import Server
from dmix.errors import DmixError
from dmix.grid.expand import Grid
from dmix.grid.gpus import Kind, read_gpu
from dmix.grid.memory import Memories, Memory
from dmix.grid.packing import FILE
from dmix.grid.shards import at_most
from dmix.grid.shards import processes as possible
from dmix.grid.spec import RunSpec

AUTO = "auto"
MOST = 1024
GIVEN = "SLURM_GPUS_ON_NODE"


@dataclass(frozen=True)
class Sharing:
    """How many processes share a run, and the memory of each.

    Attributes
    ----------
    enough: the smallest number whose memory fits: `processes`, or more than there are devices; None: none.
    """

    processes: int
    memory: Memory
    enough: int | None

    @property
    def fits(self) -> bool:
        """Whether the memory fits."""
        return self.enough == self.processes


def fewest(memories: Memories, kind: Kind, spec: RunSpec, most: int) -> Sharing:
    """Return the smallest number of processes, up to `most`, on which a run fits devices of a kind.

    If it fits on none, the smallest of those on which a process needs the least memory.
    """
    needed = {count: memories.of(spec.name, count) for count in possible(spec.settings["recipe"])}
    enough = next((count for count, memory in needed.items() if kind.has_room(memory.mb)), None)
    here = [count for count in needed if count <= most]
    count = enough if enough in here else min(here, key=lambda each: needed[each].mb)
    return Sharing(count, needed[count], enough)


class Processes:
    """The number of processes of each run, by the settings `processes`, `devices` and `gpu` of a profile.

    A number in the settings is the largest that is taken. Without one the memory of the devices decides, of
    the server or of the GPU that `gpu` names; where it is not known, runs have one process.

    Parameters
    ----------
    in_job: this process is a job that the workflow submitted. It takes the GPUs that it was given: what is
        known of memory may have changed since.
    tell: is called with a line on names that are no recipe, and on the first run of each recipe that fits on
        no number of devices.

    Raises
    ------
    DmixError: `processes` has no number in 1..1024 of a recipe, or there is no such GPU.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        grid: Grid,
        server: Server | None,
        tell: Callable[[str], None],
        *,
        in_job: bool = False,
    ) -> None:
        self._grid, self._server, self._tell = grid, server, tell
        self._by_recipe = _read(settings.get("processes"))
        unheard = sorted(set(self._by_recipe) - set(grid.params.recipes))
        if unheard and not in_job:
            tell(f"processes in {FILE} names what is no recipe here: {', '.join(unheard)}")
        self._gpu = read_gpu(str(settings["gpu"])) if settings.get("gpu") else None
        given = os.environ.get(GIVEN, "") if in_job else ""
        self._given = int(given) if given.isdigit() else 0
        self._known: dict[str, int] = {}
        self._told: set[str] = set()
        self._kinds: list[tuple[Kind, Memories]] | None = None

    def __getitem__(self, name: str) -> int:
        """Return the number of processes of the run `name`; the same one at every call."""
        if name not in self._known:
            self._known[name] = self._count(name)
        return self._known[name]

    def _count(self, name: str) -> int:
        spec = self._grid.runs[name]
        recipe = spec.settings["recipe"]
        wanted = self._by_recipe.get(self._grid.cells[name].recipe)
        if wanted is not None:
            return at_most(recipe, wanted)
        if possible(recipe) == (1,):
            return 1
        if self._given:
            return at_most(recipe, self._given)
        most = MOST if self._server is None else len(self._server.devices)
        found = [fewest(memories, kind, spec, most) for kind, memories in self._here()]
        if not found:
            return 1
        largest = max(found, key=lambda each: each.processes)
        if not all(each.fits for each in found):
            self._say(name, largest)
        return largest.processes

    def _here(self) -> list[tuple[Kind, Memories]]:
        """Return the kinds of devices that runs get; read when the first run asks, as most grids never do."""
        if self._kinds is None:
            own: tuple[Kind, ...] = (self._gpu,) if self._gpu else ()
            here = kinds(self._server.devices) if self._server else own
            self._kinds = [(kind, Memories(self._grid, kind)) for kind in here]
        return self._kinds

    def _say(self, name: str, found: Sharing) -> None:
        recipe = self._grid.cells[name].recipe
        if recipe not in self._told:
            self._told.add(recipe)
            self._tell(
                f"{name} needs {found.memory} on each of {found.processes} devices, more than they have; "
                f"others of recipe {recipe} may, too: {way_out(found)}"
            )


def way_out(found: Sharing) -> str:
    """Return what can be done for a run that does not fit."""
    if found.enough is not None:
        return f"{found.enough} devices are enough"
    measure = "measure it (dmix measure), " if found.memory.basis == "estimated" else ""
    return f"{measure}take a GPU with more memory, or half precision (docs/cluster.md, Precision)"


def _read(wanted: Any) -> Mapping[str, int]:
    """Return recipe -> the number of the settings; those without one are decided by memory."""
    if wanted is None or wanted == AUTO:
        return {}
    if not isinstance(wanted, Mapping):
        raise DmixError(
            f"processes in {FILE} is {wanted!r}",
            f"write `processes: {AUTO}`, or a number for each recipe: `processes: {{imagenet: 4}}`",
        )
    for recipe, count in wanted.items():
        if count != AUTO and (type(count) is not int or not 1 <= count <= MOST):
            raise DmixError(
                f"processes in {FILE}: {recipe} is {count!r}", f"give a number in 1..{MOST}, or {AUTO}"
            )
    return {recipe: count for recipe, count in wanted.items() if count != AUTO}
