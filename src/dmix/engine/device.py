"""The device a run trains on, and the switches that make its arithmetic repeatable."""

from __future__ import annotations

import torch

from dmix.errors import DmixError


def choose_device(wanted: str) -> torch.device:
    """Return the device for "auto" (a GPU where there is one), "cpu" or "cuda"; one thread on a CPU.

    Raises
    ------
    DmixError: "cuda" without a GPU that torch can see.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise DmixError("--device cuda: torch sees no GPU", "use --device cpu, or install a CUDA build")
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted
    if kind == "cpu":
        # The thread count changes results, so it is fixed; parallelism comes from running several runs.
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
    else:
        torch.backends.cudnn.benchmark = True
    return torch.device(kind)
