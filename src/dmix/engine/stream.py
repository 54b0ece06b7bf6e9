"""The random numbers of one shard of every batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from dmix.engine.seeding import device_generator, host_generator, host_state, restore_host
from dmix.policies.policy import Draws


class Stream:
    """Random numbers of one shard, for mixing (`draws`) and in torch's global generators (dropout).

    The first shard's purposes are those of a batch without shards.

    Parameters
    ----------
    shard: number of the shard in the batch, from 0.
    """

    def __init__(self, seed: int, shard: int, device: torch.device) -> None:
        own = () if shard == 0 else (shard,)
        self.draws = Draws(host_generator(seed, "mix", *own), device_generator(device, seed, "mix", *own))
        self._device = device
        torch.manual_seed(host_generator(seed, "torch", *own).integers(2**62))
        self._states = self._global_states()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let torch's global generators go on where this shard's ended, within the block."""
        self._set(self._states)
        try:
            yield
        finally:
            self._states = self._global_states()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of all generators, in types that torch.load reads with weights_only."""
        return {
            "host": host_state(self.draws.host),
            "device": self.draws.device.get_state(),
            **self._states,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        restore_host(self.draws.host, state["host"])
        self.draws.device.set_state(state["device"].cpu())
        self._states = {
            name: None if state[name] is None else state[name].cpu() for name in ("torch", "cuda")
        }

    def _global_states(self) -> dict[str, Tensor | None]:
        cuda = torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None
        return {"torch": torch.get_rng_state(), "cuda": cuda}

    def _set(self, states: Mapping[str, Tensor | None]) -> None:
        if states["torch"] is not None:
            torch.set_rng_state(states["torch"])
        if states["cuda"] is not None and self._device.type == "cuda":
            torch.cuda.set_rng_state(states["cuda"], self._device)
