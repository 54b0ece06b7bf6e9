"""Train one run in several processes that `torchrun` starts.

A batch consists of the recipe's shards (`dmix.engine.shards`), and each of K processes trains on an equal
part of them. A run is made of its shards, however many processes share them. Gradients are added in pairs
of shards, then of processes, so that parameters, momentum copies and the optimiser's state are equal in all
processes, and on a CPU bit for bit what any other number of processes computes, where each has 2^k shards.

Running statistics are those of the first shard, which is the first process's, and are broadcast before each
step and each evaluation. So the state after a step is the state of the first process and every shard's
random numbers.

Tensors on the device (gradients, statistics, losses once in 50 steps) are exchanged by NCCL on GPUs; small
values on the host (stop? save?) by gloo, for which no process waits for its device.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dmix.errors import DmixError
from dmix.grid.shards import sharing
from dmix.pairwise import in_pairs

T = TypeVar("T")

# The first process may wait long for another job that trains the same run; the others wait for the first.
PATIENCE = timedelta(days=7)
# Values exchanged at a time: 64 MiB of float32 from each process, whatever the size of the network.
BUCKET = 2**24


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

    def share(self, shards: int) -> range:
        """Return the numbers of this process's shards, of `shards` in all.

        Raises
        ------
        DmixError: the number of processes does not divide that of the shards.
        """
        if self.size not in sharing(shards):
            raise DmixError(
                f"{self.size} processes cannot share a batch of {shards} shards (recipe.shards) equally",
                f"start {' or '.join(map(str, sharing(shards)))}",
            )
        own = shards // self.size
        return range(self.rank * own, (self.rank + 1) * own)

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

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes, with the same bits in all of them."""
        if self.size == 1:
            return tensor
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(parts, tensor)
        return in_pairs(parts, torch.Tensor.add_)

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradient of each parameter by its sum over the processes. All must have one."""
        if self.size == 1:
            return
        for bucket in _buckets([p.grad for p in parameters if p.grad is not None]):
            total = self.sum(torch.cat([gradient.flatten() for gradient in bucket]))
            for gradient, part in zip(bucket, _split(total, bucket), strict=True):
                gradient.copy_(part.view_as(gradient))

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
        if self.size == 1:
            return
        kinds: dict[torch.dtype, list[Tensor]] = {}
        for buffer in module.buffers():
            kinds.setdefault(buffer.dtype, []).append(buffer)
        for buffers in kinds.values():
            together = torch.cat([buffer.flatten() for buffer in buffers])
            dist.broadcast(together, src=0)
            for buffer, part in zip(buffers, _split(together, buffers), strict=True):
                buffer.copy_(part.view_as(buffer))


def _split(values: Tensor, like: Sequence[Tensor]) -> Sequence[Tensor]:
    return torch.split(values, [one.numel() for one in like])


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Yield consecutive tensors of about `BUCKET` values together."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        bucket.append(tensor)
        if sum(one.numel() for one in bucket) >= BUCKET:
            yield bucket
            bucket = []
    if bucket:
        yield bucket


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
