"""What FixMatch is for: with ten labels and many images it is better than with the ten labels alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dmix.backbones.resnet import ResNet
from dmix.data.loading.loader import EvaluationSet
from dmix.data.loading.two_streams import TwoStreamLoader, Views
from dmix.data.sets.dataset import Split
from dmix.engine.method import Ingredients
from dmix.methods.semi.fixmatch import FixMatch, confident_classes
from dmix.methods.semi.supervised_only import SupervisedOnly
from dmix.objectives.ce import ce
from dmix.policies.vanilla import Vanilla
from small_recipes import trainer_of
from small_semi import CPU, recipe

CLASSES, LABELS, IMAGES = 4, 10, 400
THRESHOLD, STEPS = 0.9, 240


def draw(images, seed):
    """Noisy 8 x 8 images around one pattern for each class, uint8, and their classes."""
    rng = np.random.default_rng(seed)
    classes = np.arange(images) % CLASSES
    patterns = np.random.default_rng(0).normal(size=(CLASSES, 3, 8, 8))
    pixels = 128 + 40 * (patterns[classes] + 1.2 * rng.normal(size=(images, 3, 8, 8)))
    return Split(np.clip(pixels, 0, 255).astype(np.uint8), classes)


TRAIN = draw(IMAGES, 1)


def strong(pixels, rng):
    """A grey square of 3 x 3 in each image, at random, and less light."""
    pixels = pixels.copy()
    for image, (top, left) in zip(pixels, rng.integers(0, 6, size=(len(pixels), 2)), strict=True):
        image[:, top : top + 3, left : left + 3] = 128
    return pixels * rng.uniform(0.5, 1, size=(len(pixels), 1, 1, 1))


class Stream:
    """The first images with replacement; a weak view is flipped or not, and a strong one is worse."""

    def __init__(self, seed, images, rows, views):
        self.images_per_step = rows
        self._seed, self._images, self._views = seed, images, views

    def batch(self, step):
        rng = np.random.default_rng((self._seed, step))
        index = rng.integers(self._images, size=self.images_per_step)
        views = [self._view(TRAIN.images[index], kind, rng) for kind in self._views]
        return Views(tuple(views), torch.from_numpy(TRAIN.labels[index]), torch.from_numpy(index))

    def _view(self, pixels, kind, rng):
        pixels = strong(pixels, rng) if kind == "strong" else pixels
        flipped = rng.random(len(pixels)) < 0.5
        pixels = np.where(flipped[:, None, None, None], pixels[..., ::-1], pixels)
        return (torch.from_numpy(pixels.copy()).float() / 255 - 0.5) / 0.25


def run(kind, seed, **settings):
    """The best accuracy on new images, and which share of the unlabelled rows counted at each reading."""
    torch.manual_seed(seed)
    model = ResNet(CLASSES, stem="cifar", block="basic", layers=(1, 1), width=8)
    values = recipe(steps=STEPS, eval_every=STEPS // 4, batch_size=LABELS, unlabelled_ratio=7)
    task = kind(Ingredients(model, Vanilla(), ce, pixels=lambda x: x, recipe=values), **settings)
    unlabelled = Stream((seed, 1), IMAGES, 7 * LABELS, ("weak", "strong"))
    loader = TwoStreamLoader(Stream((seed, 0), LABELS, LABELS, ("weak",)), unlabelled if settings else None)
    test = EvaluationSet(draw(400, 2), batch_size=400, mean=values["mean"], std=values["std"], device=CPU)
    trainer = trainer_of(task, loader, test, values, seed, label=f"{kind.__name__} {seed}")
    weak, counted = unlabelled.batch(STEPS).images[0], []

    def look(trainer):
        if trainer.step % (STEPS // 3) == 0:
            counted.append(confident_classes(task.look(weak), THRESHOLD).mask.mean().item())
        return True

    assert trainer.run(look)
    return max(row["top1_clean"] for row in trainer.history if "top1_clean" in row), counted


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_fixmatch_is_better_than_its_labels_alone_and_grows_surer(seed):
    alone, _ = run(SupervisedOnly, seed)
    found, counted = run(FixMatch, seed, threshold=THRESHOLD, weight=1.0)
    assert alone > 50
    assert found > alone + 5
    assert counted == sorted(counted)
    assert counted[-1] > counted[0] + 0.1
