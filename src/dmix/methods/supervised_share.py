"""Supervised training on a share of the training images (the paper, section 4.4, item 4)."""

from __future__ import annotations

from dataclasses import replace

from dmix.data.loading.loader import ResidentLoader
from dmix.data.loading.stream import StreamLoader
from dmix.data.sets.subset import subset
from dmix.engine.method import Feeding, labelled_loader
from dmix.errors import DmixError
from dmix.methods.supervised import Supervised
from dmix.part import part


@part
class SupervisedShare(Supervised):
    """As `supervised`, on the images that the recipe's `labels` choose; all others are read by nobody.

    An epoch is one pass over the chosen images, so a smaller share is fewer steps.
    """

    def loader(self, feeding: Feeding) -> ResidentLoader | StreamLoader:
        """Return the loader of the chosen images.

        Raises
        ------
        DmixError: the run has no `labels`, or they do not fill one batch.
        """
        if feeding.labels is None:
            raise DmixError(
                "supervised_share trains on the images that `labels` choose, and the run has none",
                "set labels.use: share and labels.percent",
            )
        return labelled_loader(replace(feeding, split=subset(feeding.split, feeding.labels.labelled)))
