"""Supervised training with a mixup policy (the paper, section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from dmix.backbones.parameter_group import ParameterGroup, with_rest
from dmix.data.loading.loader import Batch
from dmix.engine.method import Ingredients, Method, Step
from dmix.part import part
from dmix.policies.policy import Context


@part
class Supervised(Method):
    """Minimise the objective on mixed batches, plus the policy's own losses."""

    def __init__(self, ingredients: Ingredients) -> None:
        super().__init__()
        self.model = ingredients.model
        self.policy = ingredients.policy
        self.objective = ingredients.objective
        self.pixels = ingredients.pixels

    def losses(self, batch: Batch, step: Step) -> Mapping[str, Tensor]:
        """Return the mean objective over all N rows as `mixed`, and the policy's losses."""
        mixed = self.policy.mix(batch.images, batch.labels, step.draws, self._context(step))
        logits = self.model(mixed.images, mixed.hidden)
        rows = self.objective(logits, mixed.y_a, mixed.y_b, mixed.lam)
        return {"mixed": rows.mean(), **mixed.losses}

    def predict(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the policy's predictions, by default the network's logits."""
        return self.policy.predict(self.model, images)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return the policy's parameter groups, after one of all other parameters."""
        return with_rest(self.parameters(), self.policy.parameter_groups())

    def after_step(self, step: Step) -> None:
        """Let the policy update its averages."""
        self.policy.after_step(self._context(step))

    def _context(self, step: Step) -> Context:
        return Context(self.model, self.objective, step.number, step.total, self.pixels)
