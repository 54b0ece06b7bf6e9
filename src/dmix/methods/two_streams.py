"""Base class of the two-stream methods: loader, encoder and head, and the losses of an add-on."""

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
    """Base class of the transfer and semi-supervised methods. Subclasses write `losses`.

    Attributes
    ----------
    labelled, unlabelled: the views of a stream's images, each named by the settings section that augments it.
        A method without unlabelled views still reads unlabelled images if its add-on mixes them.
    sampling: of both streams (`two_stream_loader`).
    encoder: images (N, 3, H, W) to pooled features (N, d). head: features to logits of clean rows.
    addon: makes the mixed batches; None for no mixed batches.
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
        """The add-on, which makes the mixed batches, or None."""
        return cast("Addon | None", self._modules["pairing"])

    def loader(self, feeding: Feeding) -> TwoStreamLoader:
        """Return the loader of labelled and, if they are used, unlabelled images.

        Raises
        ------
        DmixError: unlabelled images are used, but the recipe has none, or they lack the view that the add-on
            mixes; or see `two_stream_loader`.
        """
        recipe, views = feeding.recipe, self.unlabelled
        mixes = self.addon is not None and self.addon.unlabelled
        if not views and mixes:
            views = self.labelled
        if self.addon is not None and mixes and self.addon.view >= len(views):
            raise DmixError(
                f"{type(self).__name__} has only {len(views)} view of unlabelled images",
                "set addon.view to first in params.yaml",
            )
        if views and (feeding.labels is None or not recipe["unlabelled_ratio"]):
            raise DmixError(
                f"{type(self).__name__} needs unlabelled images, but its recipe has none",
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
        """Return the mixed batches of a step; None without an add-on."""
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
        """Return the losses of the mixed batches; none without an add-on.

        Parameters
        ----------
        features: (B, d) of each of `mixed.images`; if empty, each batch has a forward pass of its own.
        pseudo: of the unlabelled rows, if they are mixed.
        """
        if mixed is None or self.addon is None:
            return {}
        if not features:
            features = [
                apart(self.encoder, images, freeze=self.addon.freeze and number == 1)
                for number, images in enumerate(mixed.images)
            ]
        logits = tuple(self.addon.logits(rows, self.head) for rows in features)
        return self.addon.losses(logits, mixed, pseudo, step)

    def joined(self, mixed: MixedBatches | None) -> tuple[Tensor, ...]:
        """Return the mixed batches that share the forward pass, and so the statistics, of the clean rows."""
        return mixed.images if mixed is not None and self.addon is not None and self.addon.joint else ()

    def predict(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the logits of the clean head, which tables report, and of the head of mixed rows."""
        features = self.encoder(images)
        found = {"clean": self.head(features)}
        if self.addon is not None and self.addon.own is not None:
            found["mixed"] = self.addon.own(features)
        return found

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return one group of the new classifiers, with their own learning rate, after one of all others."""
        mixed = self.addon.parameters() if self.addon is not None else ()
        heads = ParameterGroup((*self.head.parameters(), *mixed), {"lr_factor": self.head_lr_factor})
        return with_rest(self.parameters(), [heads])
