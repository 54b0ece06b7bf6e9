"""What the transfer methods share: two streams, a network in two pieces, and the mixed batches beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from dmix.data.pair_feed import pair_loader
from dmix.data.paired import Pair, PairLoader
from dmix.engine.seeding import derive
from dmix.engine.task import Feeding, Ingredients, Step, Task
from dmix.models.frozen_statistics import frozen_statistics
from dmix.models.parameter_group import ParameterGroup, with_rest
from dmix.models.pooled import pooled
from dmix.tasks.pairing.pseudo import PseudoLabels, pseudo_labels


class Host(Task):
    """The cross-entropy of the clean labelled rows, what a subclass adds, and mixed rows where there are any.

    Subclasses write `own_losses`, and say with `views` in how many ways they see an image and with
    `reads_unlabelled` whether they read unlabelled images themselves.

    Attributes
    ----------
    encoder: images (N, 3, H, W) to pooled features (N, d). head: features to logits, of clean rows.
    pairing: how rows are mixed; None is not at all.
    """

    views = 1
    reads_unlabelled = False

    def __init__(self, ingredients: Ingredients) -> None:
        super().__init__()
        self.encoder, self.head = pooled(ingredients.model)
        self.pairing = ingredients.pairing
        if self.pairing is not None:
            self.pairing.attach(self.head)
        self.head_lr_factor = ingredients.recipe["head_lr_factor"]

    def loader(self, feeding: Feeding) -> PairLoader:
        """Return labelled and, where they are read, unlabelled images, each shuffled without an end."""
        recipe, views = feeding.recipe, ("augment",) * self.views
        mixes_unlabelled = self.pairing is not None and self.pairing.unlabelled
        return pair_loader(
            feeding.split,
            feeding.labels,
            feeding.augments,
            feeding.reading,
            labelled=views,
            unlabelled=views if self.reads_unlabelled or mixes_unlabelled else (),
            batch_size=recipe["batch_size"],
            unlabelled_ratio=recipe["unlabelled_ratio"],
            sampling="shuffled",
            mean=recipe["mean"],
            std=recipe["std"],
            seed_of=lambda purpose: derive(feeding.seed, purpose),
            device=feeding.device,
        )

    def own_losses(self, features: Tensor, batch: Pair) -> tuple[Mapping[str, Tensor], PseudoLabels | None]:
        """Return the method's losses beside the cross-entropy, and pseudo-classes where it made them.

        Parameters
        ----------
        features: (B, d) of the first view of the labelled rows.
        """
        raise NotImplementedError(type(self).__name__)

    def losses(self, batch: Pair, step: Step) -> Mapping[str, Tensor]:
        """Return `ce`, the method's own losses, and those of the mixed rows."""
        images, y = batch.labelled.images[0], batch.labelled.labels
        mixed, others = None, None
        if self.pairing is not None:
            if self.pairing.unlabelled and batch.unlabelled is not None:
                others = batch.unlabelled.images[min(self.pairing.view, self.views - 1)]
            mixed = self.pairing.mix(images, y, others, step.draws)
        together = mixed.images if mixed is not None and self.pairing.joint else ()
        features, *of_mixed = self.encode_together((images, *together))
        losses = {"ce": functional.cross_entropy(self.head(features).float(), y)}
        own, pseudo = self.own_losses(features, batch)
        losses |= own
        if mixed is None:
            return losses
        if others is not None and pseudo is None:
            pseudo = self.pseudo(others)
        if not together:
            of_mixed = [
                self.encode_apart(part, freeze=self.pairing.freeze and number == 1)
                for number, part in enumerate(mixed.images)
            ]
        logits = tuple(self.pairing.logits(part, self.head) for part in of_mixed)
        return {**losses, **self.pairing.losses(logits, mixed, pseudo, step)}

    def encode_together(self, parts: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the features of several batches from one forward pass, with one set of statistics."""
        features: Tensor = self.encoder(torch.cat(list(parts)) if len(parts) > 1 else parts[0])
        return features.split_with_sizes([len(part) for part in parts])

    def encode_apart(self, images: Tensor, *, freeze: bool) -> Tensor:
        """Return the features of one batch, with its own statistics, which may leave no trace."""
        with frozen_statistics(self.encoder, freeze):
            features: Tensor = self.encoder(images)
        return features

    @torch.no_grad()
    def pseudo(self, images: Tensor) -> PseudoLabels:
        """Return the clean head's classes of unlabelled rows, as Self-Tuning has them: in training mode."""
        return pseudo_labels(self.head(self.encoder(images)))

    def predict(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the logits of the clean head, which tables report, and of the head of mixed rows."""
        features = self.encoder(images)
        found = {"clean": self.head(features)}
        if self.pairing is not None and self.pairing.own is not None:
            found["mixed"] = self.pairing.own(features)
        return found

    def parameter_groups(self) -> list[ParameterGroup]:
        """Give new classifiers a rate of their own."""
        heads = [*self.head.parameters(), *(self.pairing.parameters() if self.pairing is not None else ())]
        return with_rest(
            self.parameters(), [ParameterGroup(tuple(heads), {"lr_factor": self.head_lr_factor})]
        )
