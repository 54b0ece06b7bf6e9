"""Random generators, one for each purpose, seeded from the run's seed and the purpose."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import torch


def derive(seed: int, *purpose: str | int) -> int:
    """Return a 63-bit seed for one purpose of a run, a hash of both."""
    text = json.dumps([seed, *purpose])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


def host_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return a numpy generator for one purpose."""
    return np.random.Generator(np.random.PCG64(derive(seed, *purpose)))


def device_generator(device: torch.device, seed: int, *purpose: str | int) -> torch.Generator:
    """Return a torch generator on `device` for one purpose."""
    generator = torch.Generator(device)
    generator.manual_seed(derive(seed, *purpose))
    return generator


def host_state(generator: np.random.Generator) -> dict[str, Any]:
    """Return the generator's state in types that torch.load reads with weights_only."""
    state = generator.bit_generator.state
    return {**state, "state": {key: str(value) for key, value in state["state"].items()}}


def restore_host(generator: np.random.Generator, state: dict[str, Any]) -> None:
    """Restore what `host_state` returned."""
    numbers = {key: int(value) for key, value in state["state"].items()}
    generator.bit_generator.state = {**state, "state": numbers}
