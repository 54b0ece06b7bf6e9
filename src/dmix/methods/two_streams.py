"""What methods of two streams share: loaders, a network in two pieces, and the batches of an add-on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor

from dmix.backbones.parameter_group import ParameterGroup, with_rest
from dmix.backbones.pooled import pooled
from dmix.data.loading.two_stream_feed import Sampling, two_stream_loader
from dmix.data.loading.two_streams import TwoStreamBatch, TwoStreamLoader
from dmix.engine.method import Feeding, Ingredients, Method, Step
from dmix.engine.seeding import derive
from dmix.errors import DmixError
from dmix.methods.addons.contract import Addon, MixedBatches
from dmix.methods.addons.pseudo import PseudoLabels
from dmix.methods.passes import apart
from dmix.policies.policy import Context


class TwoStreamMethod(Method):
    """Base of the transfer and the semi-supervised methods; subclasses write `losses`.

    They say with `labelled` and `unlabelled` in which views they see an image, each by the section of the
    settings that augments it; a method may also read unlabelled images for its mixed batches alone.

    Attributes
    ----------
    encoder: images (N, 3, H, W) to pooled features (N, d). head: features to logits, of clean rows.
    addon: makes the mixed batches; None is not at all.
    """

    labelled: tuple[str, ...] = ("augment",)
    unlabelled: tuple[str, ...] = ()
    sampling: Sampling

    def __init__(self, ingredients: Ingredients) -> None:
        super().__init__()
        self.encoder, self.head = pooled(ingredients.model)
        self.ingredients = ingredients
        self.add_module("pairing", ingredients.addon)  # its name in files of weights
        if self.addon is not None:
            self.addon.attach(self.head)
        self.head_lr_factor = ingredients.recipe["head_lr_factor"]

    @property
    def addon(self) -> Addon | None:
        """What makes the mixed batches."""
        return cast("Addon | None", self._modules["pairing"])

    def loader(self, feeding: Feeding) -> TwoStreamLoader:
        """Return labelled and, where they are read, unlabelled images, without an end.

        Raises
        ------
        DmixError: unlabelled images are read, and there are none, or not in the view that is to be mixed; or
            see `two_stream_loader`.
        """
        recipe, views = feeding.recipe, self.unlabelled
        mixes = self.addon is not None and self.addon.unlabelled
        if not views and mixes:
            views = self.labelled
        if self.addon is not None and mixes and self.addon.view >= len(views):
            raise DmixError(
                f"{type(self).__name__} sees unlabelled images in {len(views)} view alone",
                "set addon.view to first in params.yaml",
            )
        if views and (feeding.labels is None or not recipe["unlabelled_ratio"]):
            raise DmixError(
                f"{type(self).__name__} reads unlabelled images, of which its recipe has none",
                "give the recipe labels and an unlabelled_ratio above 0, in params.yaml",
            )
        return two_stream_loader(
            feeding.split,
            feeding.labels,
            feeding.augments,
            feeding.read_options,
            labelled=self.labelled,
            unlabelled=views,
            batch_size=recipe["batch_size"],
            unlabelled_ratio=recipe["unlabelled_ratio"],
            sampling=self.sampling,
            mean=recipe["mean"],
            std=recipe["std"],
            seed_of=lambda purpose: derive(feeding.seed, purpose),
            device=feeding.device,
        )

    def mixed(self, batch: TwoStreamBatch, step: Step) -> MixedBatches | None:
        """Return the mixed batches of a step, where there are any."""
        if self.addon is None:
            return None
        others = None
        if self.addon.unlabelled and batch.unlabelled is not None:
            others = batch.unlabelled.images[self.addon.view]
        given = self.ingredients
        context = Context(given.model, given.objective, step.number, step.total, given.pixels)
        return self.addon.mix(batch.labelled.images[0], batch.labelled.labels, others, step.draws, context)

    def mixed_losses(
        self, mixed: MixedBatches | None, features: Sequence[Tensor], pseudo: PseudoLabels | None, step: Step
    ) -> Mapping[str, Tensor]:
        """Return the losses of the mixed batches; nothing where there are none.

        Parameters
        ----------
        features: (B, d) of each of `mixed.images`, or none: then each has a pass of its own.
        pseudo: of the unlabelled rows, where some are mixed.
        """
        if mixed is None or self.addon is None:
            return {}
        if not features:
            features = [
                apart(self.encoder, part, freeze=self.addon.freeze and number == 1)
                for number, part in enumerate(mixed.images)
            ]
        logits = tuple(self.addon.logits(part, self.head) for part in features)
        return self.addon.losses(logits, mixed, pseudo, step)

    def joined(self, mixed: MixedBatches | None) -> tuple[Tensor, ...]:
        """Return the mixed batches that are to share a pass, and so its statistics, with the clean rows."""
        return mixed.images if mixed is not None and self.addon is not None and self.addon.joint else ()

    def predict(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the logits of the clean head, which tables report, and of the head of mixed rows."""
        features = self.encoder(images)
        found = {"clean": self.head(features)}
        if self.addon is not None and self.addon.own is not None:
            found["mixed"] = self.addon.own(features)
        return found

    def parameter_groups(self) -> list[ParameterGroup]:
        """Give new classifiers a rate of their own."""
        mixed = self.addon.parameters() if self.addon is not None else ()
        heads = ParameterGroup((*self.head.parameters(), *mixed), {"lr_factor": self.head_lr_factor})
        return with_rest(self.parameters(), [heads])
