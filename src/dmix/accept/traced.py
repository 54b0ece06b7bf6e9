"""Run dmix commands in the current source tree, with a digest of the weights after every step. A script.

Usage: traced.py FILE COMMANDS; COMMANDS is JSON, a list of {"arguments": [...], "stop_at": step or null}.
A command with `stop_at` gets SIGTERM after that step, as from a scheduler, and is started again. Every line
of FILE is one optimiser step: {"command": number, "step": number, "weights": sha256}.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any, TextIO

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

AGAIN = 75


class Tracer:
    """Writes a digest of the weights after each step of a command."""

    def __init__(self, out: TextIO, command: int, stop_at: int | None) -> None:
        self.out = out
        self.command = command
        self.stop_at = stop_at
        self.step = 0

    def __call__(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Write the digest of all parameters of `optimizer`; send SIGTERM after step `stop_at`."""
        self.step += 1
        # Sorted, because it does not matter in which order a method hands its parameters over.
        each = sorted(
            hashlib.sha256(
                parameter.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
            ).hexdigest()
            for group in optimizer.param_groups
            for parameter in group["params"]
        )
        digest = hashlib.sha256("".join(each).encode())
        line = {"command": self.command, "step": self.step, "weights": digest.hexdigest()}
        self.out.write(json.dumps(line) + "\n")
        if self.step == self.stop_at:
            self.stop_at = None
            os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Run every command in its own forked process; return 1 at the first failure, else 0."""
    commands = json.loads(sys.argv[2])
    # By name: the command line of the tree, whatever its version.
    importlib.import_module("dmix.cli")
    with suppress(ModuleNotFoundError):
        importlib.import_module("dmix.verbs.train")
    for number, command in enumerate(commands):
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            with open(sys.argv[1], "a", encoding="utf-8") as out:
                status = traced(number, command, out)
            sys.stdout.flush()
            os._exit(status)
        _, ended = os.waitpid(child, 0)
        if status := os.waitstatus_to_exitcode(ended):
            print(f"{' '.join(command['arguments'])}: exit status {status}")
            return 1
    return 0


def traced(number: int, command: dict[str, Any], out: TextIO) -> int:
    """Run one command, again if it was stopped at `stop_at`; return its exit status."""
    run = importlib.import_module("dmix.cli").main
    register_optimizer_step_post_hook(Tracer(out, number, command["stop_at"]))
    status: int = run(command["arguments"])
    if command["stop_at"] and status == AGAIN:
        status = run(command["arguments"])
    return status


if __name__ == "__main__":
    raise SystemExit(main())
