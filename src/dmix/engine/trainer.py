"""The training loop that all methods share: steps, learning rates, evaluations, exact resumption."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from dmix.data.loading.loader import EvaluationSet
from dmix.data.loading.stream import StreamEvaluation
from dmix.engine.average import Average
from dmix.engine.course import course
from dmix.engine.distributed import here
from dmix.engine.evaluate import top1
from dmix.engine.method import Method, Step
from dmix.engine.optimizers.contract import BuildOptimizer
from dmix.engine.precision import allow_tf32, gradient_scaler
from dmix.engine.schedules.contract import Progress
from dmix.engine.shards import Shards
from dmix.engine.weight_decay import exempt_from_decay
from dmix.errors import DmixError
from dmix.policies.policy import Draws

CHECK_EVERY = 50
Row = dict[str, float | int]


class Loader(Protocol):
    """The batches of a method by step number.

    Attributes
    ----------
    steps_per_epoch: 0 if no epoch is defined. images_per_step: of both streams and all processes.
    """

    steps_per_epoch: int
    images_per_step: int

    def batch(self, step: int) -> Any:
        """Return the batch of `step`, counted from 0 over the whole run, as the method expects it."""
        ...


class Trainer:
    """Trains one method from its current state to the end of its recipe.

    Each of several processes (`dmix.engine.distributed`) has a trainer and makes the same calls; `loader`
    gives this process's rows of each batch, those of its shards, `test` its batches of the test split.

    Parameters
    ----------
    build_optimizer: the recipe's optimiser (`dmix.engine.optimizers.contract`).
    schedule: the recipe's schedule with its settings bound by keyword (`dmix.engine.schedules.contract`).

    Attributes
    ----------
    step: finished optimiser steps. total: steps of the whole run.
    history: one row for each finished epoch: epoch, step, lr of the first group, mean of each loss, and, if
        the test split was evaluated, top1_NAME of each prediction. Recipes that count steps have one row for
        each evaluation, without an epoch.
    average: moving average of the parameters, if the recipe evaluates one.
    """

    def __init__(
        self,
        method: Method,
        loader: Loader,
        test: EvaluationSet | StreamEvaluation,
        recipe: Mapping[str, Any],
        build_optimizer: BuildOptimizer,
        schedule: partial[float],
        seed: int,
        device: torch.device,
        label: str,
    ) -> None:
        self.method = method
        self.loader = loader
        self.test = test
        self.recipe = recipe
        self.schedule = schedule
        self.label = label
        self.device = device
        self.world = here()
        self.course = course(recipe, loader.steps_per_epoch)
        self.groups = exempt_from_decay(
            method.parameter_groups(), method.named_parameters(), recipe["no_decay"]
        )
        self.parameters = [parameter for group in self.groups for parameter in group.parameters]
        self.optimizer = build_optimizer(self.groups, recipe["lr"], recipe["weight_decay"])
        allow_tf32(recipe["precision"])
        self.scaler = gradient_scaler(recipe["precision"], device)
        self.shards = Shards(method, self.parameters, recipe, seed, device, self.world)
        self.average = Average(method, recipe["ema"]) if recipe["ema"] else None
        self.step = 0
        self.history: list[Row] = []
        self._sums: dict[str, float] = {}
        self._pending: list[dict[str, Tensor]] = []

    def run(self, after_step: Callable[[Trainer], bool]) -> bool:
        """Train to the end or until `after_step`, called after every step, returns False.

        Return whether the run is finished.

        Raises
        ------
        DmixError: a loss was not finite.
        """
        self.method.train()
        while self.step < self.total:
            self.train_step()
            if self.course.row_ends(self.step):
                self._finish_row()
            if not after_step(self):
                return bool(self.step == self.total)
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return everything the rest of the run depends on, in types that torch.load reads with weights_only.

        Order and augmentation of samples are functions of (seed, epoch) and need no state. Call this in all
        processes; the first one's result is the state of all.
        """
        self._read_losses()
        return {
            "step": self.step,
            "method": self.method.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "scaler": self.scaler.state_dict(),
            "generators": [
                state
                for of_process in self.world.gather([one.state_dict() for one in self.shards.streams])
                for state in of_process
            ],
            "history": self.history,
            "sums": self._sums,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned, with any number of processes."""
        self.step = state["step"]
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average:
            self.average.load_state_dict(state["average"])
        self.scaler.load_state_dict(state["scaler"])
        own = self.world.share(self.shards.count)
        generators = state["generators"][own.start : own.stop]
        for stream, generator in zip(self.shards.streams, generators, strict=True):
            stream.load_state_dict(generator)
        self.history = list(state["history"])
        self._sums = dict(state["sums"])

    @property
    def draws(self) -> Draws:
        """The random numbers by which this process's first shard is mixed."""
        return self.shards.streams[0].draws

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.course.total

    def evaluated_state(self) -> dict[str, Tensor]:
        """Return the state of the method as it is evaluated: with averaged parameters if there are any."""
        with self.average.in_place() if self.average else nullcontext():
            return {name: value.detach().cpu().clone() for name, value in self.method.state_dict().items()}

    @property
    def last_loss(self) -> float | None:
        """Mean total loss in the last row of the history, for progress lines."""
        return float(self.history[-1]["loss"]) if self.history else None

    def train_step(self) -> None:
        """Take one optimiser step. A loss that is not finite raises an error up to 50 steps later."""
        for group, own in zip(self.optimizer.param_groups, self.groups, strict=True):
            group["lr"] = self._rate(self.step, own.settings)
        batch = self.loader.batch(self.step)
        losses = self.shards.differentiate(batch, self.step, self.total, self.scaler.scale)
        self._descend()
        self.method.after_step(Step(self.step, self.total, self.draws))
        if self.average:
            self.average.update()
        self.step += 1
        self._pending.append({name: value.detach() for name, value in losses.items()})
        if len(self._pending) == CHECK_EVERY:
            self._read_losses()

    def _descend(self) -> None:
        """Clip the gradient if the recipe says so, and take the optimiser's step."""
        if self.recipe["clip_norm"]:
            self.scaler.unscale_(self.optimizer)
            clip_grad_norm_(self.parameters, self.recipe["clip_norm"])
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _rate(self, step: int, own: Mapping[str, float]) -> float:
        """Return the learning rate of a step for a parameter group with the settings `own`."""
        at = Progress(step, self.total, self.course.epoch)
        changed = {key: value for key, value in own.items() if key in self.schedule.keywords}
        return self.schedule(own.get("lr", self.recipe["lr"]), at, **changed) * own.get("lr_factor", 1.0)

    def _read_losses(self) -> None:
        """Copy the pending losses to the host in one transfer; raise an error if one is not finite."""
        if not self._pending:
            return
        names = list(self._pending[0])
        first = self.step - len(self._pending)
        table = torch.stack([torch.stack([row[name] for name in names]) for row in self._pending])
        self._pending.clear()
        for offset, values in enumerate((self.world.sum(table) / self.shards.count).tolist()):
            if not all(map(math.isfinite, values)):
                raise self._not_finite(first + offset, dict(zip(names, values, strict=True)))
            for name, value in zip(names, values, strict=True):
                self._sums[name] = self._sums.get(name, 0.0) + value

    def _not_finite(self, step: int, losses: Mapping[str, float]) -> DmixError:
        rate = self._rate(step, {})
        shown = ", ".join(f"{name}={value}" for name, value in losses.items())
        return DmixError(
            f"{self.label}: the loss is not finite at step {step} of {self.total} (lr {rate:.4g}): {shown}",
            "lower recipe.lr or check the policy and objective of this run; no record is written",
            exit_code=1,
        )

    def _finish_row(self) -> None:
        self._read_losses()
        steps = self.step - int(self.history[-1]["step"] if self.history else 0)
        row: Row = {
            **({"epoch": self.step // self.course.epoch} if self.course.epoch else {}),
            "step": self.step,
            "lr": self._rate(self.step - 1, {}),
            **{name: value / steps for name, value in self._sums.items()},
        }
        if self.course.is_evaluated(self.step):
            with self.average.in_place() if self.average else nullcontext():
                found = top1(self.method, self.test, self.world)
            row |= {f"top1_{name}": value for name, value in found.items()}
        self.history.append(row)
        self._sums = {}
