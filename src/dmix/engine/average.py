"""The moving average of a method's parameters that is evaluated in the place of the trained ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """decay * average + (1 - decay) * parameters after every step, from the parameters at the start on.

    Trainable parameters alone: batch norms are evaluated with the live running statistics (as in TorchSSL).
    There is no bias correction.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._live = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self._kept = {name: p.detach().clone() for name, p in self._live.items()}
        self._update = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters as they are now."""
        self._update(list(self._kept.values()), [p.detach() for p in self._live.values()], None)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the module the averaged parameters, and its own, bit for bit, back in the end."""
        own = {name: p.data for name, p in self._live.items()}
        for name, p in self._live.items():
            p.data = self._kept[name]
        try:
            yield
        finally:
            for name, p in self._live.items():
                p.data = own[name]

    def state_dict(self) -> Mapping[str, Tensor]:
        """Return the averages by the names of the parameters."""
        return dict(self._kept)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state_dict` returned."""
        for name, kept in self._kept.items():
            kept.copy_(state[name])
