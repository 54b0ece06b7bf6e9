"""Choose the device a run trains on, and make its arithmetic repeatable."""

from __future__ import annotations

import torch

from dmix.errors import DmixError


def choose_device(wanted: str, local_rank: int = 0) -> torch.device:
    """Return the device for "auto" (a GPU if there is one), "cpu" or "cuda"; on a CPU, use one thread.

    Parameters
    ----------
    local_rank: index of this process's GPU on its machine, from 0.

    Raises
    ------
    DmixError: torch does not see the requested GPU.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise DmixError("--device cuda: torch sees no GPU", "use --device cpu, or install a CUDA build")
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted
    if kind == "cpu":
        # The thread count changes results, so it is fixed; parallelism comes from running several runs.
        torch.set_num_threads(1)
        # The same as use_deterministic_algorithms(True), which imports torch's compiler: a second and more.
        torch.set_deterministic_debug_mode("error")
        # torch would also fill each new tensor before it is written, for one twentieth of a step.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        return torch.device(kind)
    seen = torch.cuda.device_count()
    if local_rank >= seen:
        raise DmixError(
            f"process {local_rank} (from 0) of this machine has no GPU of its own: torch sees {seen}",
            "start no more processes per machine than it has GPUs",
        )
    torch.backends.cudnn.benchmark = True
    torch.cuda.set_device(local_rank)
    return torch.device(kind, local_rank)
