"""Semi-supervised methods as runs make them, on a few small random images and small networks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from dmix.backbones.resnet import ResNet
from dmix.backbones.wideresnet import WideResNet
from dmix.data.loading.loader import EvaluationSet
from dmix.data.loading.two_streams import TwoStreamBatch, TwoStreamLoader, Views
from dmix.data.sets.dataset import Dataset, Split
from dmix.engine.method import Ingredients, Step
from dmix.engine.seeding import device_generator, host_generator
from dmix.methods.semi.fixmatch import FixMatch
from dmix.methods.semi.flexmatch import FlexMatch
from dmix.methods.semi.mixmatch import MixMatch
from dmix.methods.semi.pseudo_label import PseudoLabel
from dmix.methods.semi.remixmatch import ReMixMatch
from dmix.methods.semi.supervised_only import SupervisedOnly
from dmix.methods.semi.uda import UDA
from dmix.objectives.ce import ce
from dmix.policies.policy import Draws
from dmix.policies.vanilla import Vanilla
from small_recipes import completed, trainer_of
from small_transfer import make_addon

CPU = torch.device("cpu")
CLASSES, SIZE, IMAGES, ROWS = 4, 8, 40, 8
RECIPE = {
    "steps": 40,
    "batch_size": ROWS,
    "unlabelled_ratio": 1,
    "optimizer": {"use": "sgd", "momentum": 0.9, "nesterov": True},
    "lr": 0.03,
    "weight_decay": 5e-4,
    "no_decay": "vectors",
    "schedule": {"use": "cosine_7_16"},
    "ema": 0.9,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "score": "best",
    "eval_every": 10,
}
PAIRS = {
    "rule": "at_most_half",
    "sides": "labelled",
    "unlabelled": True,
    "head": "own",
    "w_ll": 1.0,
    "w_lu": 1.0,
    "ramp": "cosine",
    "view": "first",
    "threshold": 0.95,
    "mce_sides": "both",
    "power": 0.0,
    "joint": True,
    "freeze": False,
}
# The published settings, with thresholds that a network of a few steps reaches.
HOSTS = {
    "supervised_only": (SupervisedOnly, {}, 0),
    "pseudo_label": (PseudoLabel, {"threshold": 0.4, "weight": 1.0, "ramp": 0.4}, 1),
    "fixmatch": (FixMatch, {"threshold": 0.4, "weight": 1.0}, 3),
    "flexmatch": (FlexMatch, {"threshold": 0.4, "weight": 1.0, "warm_up": True}, 3),
    "uda": (UDA, {"threshold": 0.4, "temperature": 0.4, "weight": 1.0, "annealing": "none"}, 3),
    "mixmatch": (
        MixMatch,
        {"temperature": 0.5, "alpha": 0.5, "weight": 100.0, "ramp": 0.4, "dm": "kinds"},
        1,
    ),
    "remixmatch": (
        ReMixMatch,
        {
            "temperature": 0.5,
            "alpha": 0.75,
            "momentum": 0.999,
            "match": 1.5,
            "strong": 0.5,
            "rotation": 0.5,
            "ramp": 1 / 64,
        },
        1,
    ),
}


@dataclass(frozen=True)
class Method:
    """A row of Table 7, or a variant of one: what of the method's and of the add-on's settings is changed."""

    host: str
    add_on: str = ""
    own: tuple[tuple[str, object], ...] = ()
    pairs: tuple[tuple[str, object], ...] = ()

    def __str__(self):
        return f"{self.host}{self.add_on}" + "".join(f"-{k}={v}" for k, v in (*self.own, *self.pairs))


TABLE_7 = [
    Method("supervised_only"),
    Method("pseudo_label"),
    Method("mixmatch"),
    Method("mixmatch", "+dm"),
    Method("remixmatch"),
    Method("uda"),
    Method("fixmatch"),
    Method("fixmatch", "+mixup"),
    Method("fixmatch", "+dm"),
    Method("flexmatch"),
]
BATCHES = Method("mixmatch", "+dm", own=(("dm", "batches"),))


def recipe(**changes):
    """The recipe with every setting, and its optimiser and schedule."""
    return completed(RECIPE, changes)


def images_of(labels, rng):
    """Noisy images (N, 3, 8, 8) around one pattern for each class."""
    patterns = np.random.default_rng(0).normal(size=(CLASSES, 3, SIZE, SIZE))
    return patterns[labels] + rng.normal(size=(len(labels), 3, SIZE, SIZE))


LABELS = np.arange(IMAGES) % CLASSES
TRAIN = images_of(LABELS, np.random.default_rng(1))


class Noisy:
    """A stream of the first images, drawn with replacement; each view has a noise of its own width."""

    def __init__(self, seed, images, rows, widths):
        self.images_per_step = rows
        self._seed, self._images, self._widths = seed, images, widths

    def batch(self, step):
        rng = np.random.default_rng((self._seed, step))
        index = rng.integers(self._images, size=self.images_per_step)
        views = [TRAIN[index] + width * rng.normal(size=TRAIN[index].shape) for width in self._widths]
        return Views(
            tuple(torch.from_numpy(view).float() for view in views),
            torch.from_numpy(LABELS[index]),
            torch.from_numpy(index),
        )


def split_of(images, labels):
    pixels = np.clip(images * 0.25 + 0.5, 0, 1) * 255
    return Split(pixels.astype(np.uint8), labels.astype(np.int64))


def dataset():
    test = np.arange(16) % CLASSES
    test = split_of(images_of(test, np.random.default_rng(2)), test)
    return Dataset("small", "embedded", CLASSES, {"train": split_of(TRAIN, LABELS), "test": test})


def resnet():
    return ResNet(CLASSES, stem="cifar", block="basic", layers=(1, 1), width=4)


def wide_resnet():
    return WideResNet(CLASSES, depth=10, widen=1, preact_quirk=True, norm_momentum=0.1)


def make_task(method, settings=None, network=resnet):
    """The task of a method, on a network that is always the same at first, and is surer of some rows."""
    torch.manual_seed(1)
    model = network()
    with torch.no_grad():
        model.head[-1].weight.mul_(3)
    settings_of = {**PAIRS, "threshold": 0.4, **dict(method.pairs)}
    addon = make_addon(method.add_on, **settings_of) if method.add_on else None
    ingredients = Ingredients(
        model,
        addon.policy if addon else Vanilla(),
        addon.objective if addon else ce,
        pixels=lambda images: images,
        recipe=settings or recipe(),
        dataset=dataset(),
        addon=addon,
    )
    kind, own, _ = HOSTS[method.host]
    return kind(ingredients, **{**own, **dict(method.own)})


def make_loader(method):
    """Both streams of a method: 8 labelled images, all of them unlabelled."""
    kind, _, ratio = HOSTS[method.host]
    widths = {"augment": 0.1, "strong": 0.5}
    labelled = Noisy(1, 8, ROWS, [widths[view] for view in kind.labelled])
    if not ratio:
        return TwoStreamLoader(labelled, None)
    return TwoStreamLoader(
        labelled, Noisy(2, IMAGES, ratio * ROWS, [widths[view] for view in kind.unlabelled])
    )


def make_trainer(method, network=resnet, **changes):
    """A run of a method, read on 16 test images."""
    settings = recipe(**changes)
    task = make_task(method, settings, network)
    feed = {"mean": settings["mean"], "std": settings["std"], "device": CPU}
    test = EvaluationSet(dataset().splits["test"], batch_size=8, **feed)
    return trainer_of(task, make_loader(method), test, settings, 3, label=str(method))


def step_at(number, total=40):
    """A step with random numbers that are always the same at first."""
    return Step(number, total, Draws(host_generator(5, "mix"), device_generator(CPU, 5, "mix")))


def doubled(batch):
    """The batch in float64."""

    def wide(views):
        return replace(views, images=tuple(image.double() for image in views.images))

    return TwoStreamBatch(wide(batch.labelled), wide(batch.unlabelled) if batch.unlabelled else None)


def values(module):
    """Copies of parameters and buffers, by name."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def trace(method, steps=20, **changes):
    """The losses of each of the first steps, and the trainer that has taken them."""
    trainer = make_trainer(method, steps=steps, eval_every=1, **changes)
    assert trainer.run(lambda _: True)
    return [{k: v for k, v in row.items() if not k.startswith("top1")} for row in trainer.history], trainer
