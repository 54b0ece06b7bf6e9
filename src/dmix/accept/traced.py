"""Run dmix commands and note a digest of the weights after every optimiser step, in one source tree.

Usage: traced.py FILE COMMANDS; COMMANDS is JSON, a list of {"arguments": [...], "stop_at": step or null}.
A command with `stop_at` is sent SIGTERM after that step, as by a scheduler, and started again. Every line of
FILE is one step: {"command": number, "step": number, "weights": sha256}.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import signal
import sys
from typing import Any, TextIO

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

AGAIN = 75


class Tracer:
    """Notes the weights after each step of the current command."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.command = self.step = 0
        self.stop_at: int | None = None

    def __call__(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Write the digest of all parameters of `optimizer`, and stop the command where that is wanted."""
        self.step += 1
        digest = hashlib.sha256()
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                digest.update(parameter.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        line = {"command": self.command, "step": self.step, "weights": digest.hexdigest()}
        self.out.write(json.dumps(line) + "\n")
        if self.step == self.stop_at:
            self.stop_at = None
            os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Run every command; return the first exit status that is neither 0 nor, after a stop, 75."""
    commands = json.loads(sys.argv[2])
    # Named, not imported: it is the command line of the tree, whatever its version.
    run = importlib.import_module("dmix.cli").main
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        tracer = Tracer(out)
        register_optimizer_step_post_hook(tracer)
        for number, command in enumerate(commands):
            tracer.command, tracer.step, tracer.stop_at = number, 0, command["stop_at"]
            status = run(command["arguments"])
            if command["stop_at"] and status == AGAIN:
                status = run(command["arguments"])
            out.flush()
            if status:
                return int(status)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
