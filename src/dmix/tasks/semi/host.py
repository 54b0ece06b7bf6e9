"""What the semi-supervised methods share: two streams, a network in two pieces, and mixed batches beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dmix.data.pair_feed import pair_loader
from dmix.data.paired import Pair, PairLoader
from dmix.engine.seeding import derive
from dmix.engine.task import Feeding, Ingredients, Step, Task
from dmix.errors import DmixError
from dmix.models.parameter_group import ParameterGroup, with_rest
from dmix.models.pooled import pooled
from dmix.tasks.pairing.pairs import MixedPairs, Pairs
from dmix.tasks.pairing.pseudo import PseudoLabels
from dmix.tasks.semi import passes


class SemiHost(Task):
    """Base of the semi-supervised methods; subclasses write `losses`.

    They say with `labelled` and `unlabelled` in which views they see an image, each by the section of the
    settings that augments it ("augment" is the weak one), and with `takes_pairs` whether mixed batches can
    stand beside theirs.

    Attributes
    ----------
    encoder: images (N, 3, H, W) to pooled features (N, d). head: features to logits, of clean rows.
    pairing: how mixed batches are made; None is not at all.

    Raises
    ------
    DmixError: there is a pairing, which the method has no use for.
    """

    labelled: tuple[str, ...] = ("augment",)
    unlabelled: tuple[str, ...] = ()
    takes_pairs = False

    def __init__(self, ingredients: Ingredients) -> None:
        super().__init__()
        self.encoder, self.head = pooled(ingredients.model)
        self.pairing: Pairs | None = ingredients.pairing
        if self.pairing is not None:
            if not self.takes_pairs:
                raise DmixError(
                    f"{type(self).__name__} has no place for mixed batches beside its own",
                    "give this method a policy that mixes nothing, such as vanilla, in params.yaml",
                )
            self.pairing.attach(self.head)
        self.head_lr_factor = ingredients.recipe["head_lr_factor"]

    def loader(self, feeding: Feeding) -> PairLoader:
        """Return labelled and unlabelled images, each drawn with replacement and without an end.

        Raises
        ------
        DmixError: the method reads unlabelled images, and there are none; or see `pair_loader`.
        """
        recipe = feeding.recipe
        if self.unlabelled and (feeding.labels is None or not recipe["unlabelled_ratio"]):
            raise DmixError(
                f"{type(self).__name__} reads unlabelled images, of which its recipe has none",
                "give the recipe labels and an unlabelled_ratio above 0, in params.yaml",
            )
        return pair_loader(
            feeding.split,
            feeding.labels,
            feeding.augments,
            feeding.reading,
            labelled=self.labelled,
            unlabelled=self.unlabelled,
            batch_size=recipe["batch_size"],
            unlabelled_ratio=recipe["unlabelled_ratio"],
            sampling="replacement",
            mean=recipe["mean"],
            std=recipe["std"],
            seed_of=lambda purpose: derive(feeding.seed, purpose),
            device=feeding.device,
        )

    def mixed(self, batch: Pair, step: Step) -> MixedPairs | None:
        """Return the mixed batches of a step, where there are any."""
        if self.pairing is None:
            return None
        others = None
        if self.pairing.unlabelled and batch.unlabelled is not None:
            others = batch.unlabelled.images[self.pairing.view]
        return self.pairing.mix(batch.labelled.images[0], batch.labelled.labels, others, step.draws)

    def mixed_losses(
        self, mixed: MixedPairs | None, features: Sequence[Tensor], pseudo: PseudoLabels, step: Step
    ) -> Mapping[str, Tensor]:
        """Return the losses of the mixed batches; nothing where there are none.

        Parameters
        ----------
        features: (B, d) of each of `mixed.images`, or none: then each has a pass of its own.
        pseudo: of the unlabelled rows.
        """
        if mixed is None or self.pairing is None:
            return {}
        if not features:
            features = [
                passes.apart(self.encoder, part, freeze=self.pairing.freeze and number == 1)
                for number, part in enumerate(mixed.images)
            ]
        logits = tuple(self.pairing.logits(part, self.head) for part in features)
        return self.pairing.losses(logits, mixed, pseudo, step)

    @torch.no_grad()
    def look(self, images: Tensor) -> Tensor:
        """Return the logits (B, C) of unlabelled rows, which leave neither gradients nor statistics."""
        logits: Tensor = self.head(passes.apart(self.encoder, images, freeze=True))
        return logits

    def predict(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the logits of the clean head, which tables report, and of the head of mixed rows."""
        features = self.encoder(images)
        found = {"clean": self.head(features)}
        if self.pairing is not None and self.pairing.own is not None:
            found["mixed"] = self.pairing.own(features)
        return found

    def parameter_groups(self) -> list[ParameterGroup]:
        """Give the classifiers a rate of their own."""
        heads = [*self.head.parameters(), *(self.pairing.parameters() if self.pairing is not None else ())]
        return with_rest(
            self.parameters(), [ParameterGroup(tuple(heads), {"lr_factor": self.head_lr_factor})]
        )
