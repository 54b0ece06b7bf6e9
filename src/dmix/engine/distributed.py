"""Train one run in several processes that `torchrun` starts.

The batch size of a recipe is that of all K processes together. Each process takes B / K consecutive rows of a
batch, mixes them with its own random numbers and normalises them with its own statistics. Gradients are
averaged, so parameters, momentum copies and the optimiser's state are equal in all processes. Compared with
one process, batch norms see B / K rows and a policy draws K times, as in released code. `lam_groups` imitates
the K draws of lam and partners in fewer processes (`World.share_of_groups`), and with `recipe.sync_batchnorm`
batch norms have the statistics of all B rows (`dmix.backbones.sync_batchnorm`); what a policy draws once for
all of its rows is not imitated.

Running statistics are those of the first process, broadcast before each step and each evaluation. So the
state after a step is the state of the first process and every process's random numbers.

Tensors on the device (gradients, statistics, losses once in 50 steps) are exchanged by NCCL on GPUs; small
values on the host (stop? save?) by gloo, for which no process waits for its device.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dmix.data.loading.loader import Batch
from dmix.engine.method import Method, Step
from dmix.errors import DmixError

T = TypeVar("T")

# The first process may wait long for another job that trains the same run; the others wait for the first.
PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class World:
    """The processes of a run: this one's rank and their number. A single process is (0, 1).

    Collective methods must be called in all processes, in the same order. `host` is the process group for
    small values on the host; tensors on the device go through torch's default group.
    """

    rank: int
    size: int
    host: dist.ProcessGroup | None = field(default=None, compare=False, repr=False)

    @property
    def leads(self) -> bool:
        """Whether this is the first process, the only one that writes files."""
        return self.rank == 0

    def purpose(self, name: str) -> tuple[str | int, ...]:
        """Return the purpose that seeds this process's random numbers (`dmix.engine.seeding`).

        The first process draws the same numbers as a single process.
        """
        return (name,) if self.rank == 0 else (name, self.rank)

    def rows(self, n: int) -> slice:
        """Return this process's rows of a batch of n.

        Raises
        ------
        DmixError: n is not a multiple of the number of processes.
        """
        if n % self.size:
            raise DmixError(
                f"a batch of {n} rows cannot be shared evenly by {self.size} processes",
                "start a number of processes that divides recipe.batch_size",
            )
        own = n // self.size
        return slice(self.rank * own, (self.rank + 1) * own)

    def batches(self) -> slice:
        """Return this process's batches of a split that is evaluated: every size-th, from its rank on."""
        return slice(self.rank, None, self.size)

    def share_of_groups(self, lam_groups: int) -> int:
        """Return this process's number of groups, so that all processes together draw `lam_groups` times.

        Raises
        ------
        DmixError: `lam_groups` is not a multiple of the number of processes.
        """
        if lam_groups % self.size:
            raise DmixError(
                f"policy.lam_groups is {lam_groups}: {self.size} processes cannot draw so often together",
                "start a number of processes that divides it, or change it in params.yaml",
            )
        return lam_groups // self.size

    def averaging(self, method: Method) -> Callable[[Any, Step], Mapping[str, Tensor]]:
        """Return the method's losses as a function whose gradients are averaged over the processes."""
        if self.size == 1:
            return method.losses
        # One stride of a 1x1 convolution's weight in channels_last memory is arbitrary; this costs a copy.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides", UserWarning)
        return DistributedDataParallel(_Losses(method), forward_sync_buffers=True)

    def mean(self, tensor: Tensor) -> Tensor:
        """Return the mean of a floating tensor over the processes; the tensor may be overwritten."""
        if self.size == 1:
            return tensor
        dist.all_reduce(tensor)  # a sum; gloo has no mean
        return tensor / self.size

    def agree(self, *numbers: int) -> list[int]:
        """Return the largest of each number over the processes."""
        if self.size == 1:
            return list(numbers)
        largest = torch.tensor(numbers)
        dist.all_reduce(largest, dist.ReduceOp.MAX, group=self.host)
        return [int(number) for number in largest]

    def gather(self, mine: T) -> list[T]:
        """Return every process's value, in the order of their ranks."""
        found: list[Any] = [mine] * self.size
        if self.size > 1:
            dist.all_gather_object(found, mine, group=self.host)
        return found

    def wait(self) -> None:
        """Wait until every process has called this."""
        self.agree(0)

    def lead(self, work: Callable[[], T]) -> T:
        """Call `work` in the first process only, and return its result in all.

        Raises
        ------
        DmixError: in the first process, if `work` raised it.
        SystemExit: in the other processes then, with the same exit code and no message.
        """
        if self.size == 1:
            return work()
        outcome: list[Any] = [None, None]
        failed: DmixError | None = None
        if self.leads:
            try:
                outcome[0] = work()
            except DmixError as error:
                failed, outcome[1] = error, error.exit_code
        dist.broadcast_object_list(outcome, src=0, group=self.host)
        if failed:
            raise failed
        if outcome[1] is not None:
            raise SystemExit(outcome[1])
        result: T = outcome[0]
        return result

    def hand_on_buffers(self, module: nn.Module) -> None:
        """Broadcast the first process's buffers, which are the running statistics of batch norms."""
        if self.size > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, src=0)


_here = World(0, 1)


def here() -> World:
    """Return the processes of this run: those that `joined` connected, or this one alone."""
    return _here


def launched() -> bool:
    """Return whether torchrun started this process: schedulers set some of its variables too, never all."""
    return all(os.environ.get(name, "").isdigit() for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))


def local_rank() -> int:
    """Return this process's index on its machine, which is that of its GPU."""
    return int(os.environ["LOCAL_RANK"]) if launched() else 0


@contextmanager
def joined(device: str) -> Iterator[World]:
    """Connect the processes that torchrun started for this run, for the duration of the block.

    A process not started by torchrun is alone, and nothing is set up.

    Parameters
    ----------
    device: "auto", "cpu" or "cuda", as for `dmix.engine.device.choose_device`.
    """
    global _here  # a process has one, like torch's default process group
    if not launched() or os.environ["WORLD_SIZE"] == "1":
        yield _here
        return
    with_gpus = device != "cpu" and torch.cuda.is_available()
    dist.init_process_group("nccl" if with_gpus else "gloo")
    host = dist.new_group(backend="gloo", timeout=PATIENCE)
    _here = World(dist.get_rank(), dist.get_world_size(), host)
    try:
        yield _here
    finally:
        _here = World(0, 1)
        dist.destroy_process_group()


class _Losses(nn.Module):
    """A method's losses as a forward pass, which is all that DistributedDataParallel wraps."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, batch: Batch, step: Step) -> Mapping[str, Tensor]:
        return self.method.losses(batch, step)
