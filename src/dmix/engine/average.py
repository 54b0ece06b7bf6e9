"""Exponential moving average of a method's parameters, evaluated instead of the trained parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """After every step, average = decay * average + (1 - decay) * parameters; it starts at the initial ones.

    Only trainable parameters are averaged; batch norms are evaluated with the current running statistics (as
    in TorchSSL). There is no bias correction.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._live = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self._kept = {name: p.detach().clone() for name, p in self._live.items()}
        self._update = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def update(self) -> None:
        """Update the average with the current parameters."""
        self._update(list(self._kept.values()), [p.detach() for p in self._live.values()], None)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Replace the module's parameters by their averages within the block; restore them afterwards."""
        own = {name: p.data for name, p in self._live.items()}
        for name, p in self._live.items():
            p.data = self._kept[name]
        try:
            yield
        finally:
            for name, p in self._live.items():
                p.data = own[name]

    def state_dict(self) -> Mapping[str, Tensor]:
        """Return the averages by parameter name."""
        return dict(self._kept)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state_dict` returned."""
        for name, kept in self._kept.items():
            kept.copy_(state[name])
