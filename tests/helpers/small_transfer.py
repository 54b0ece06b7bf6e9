"""Transfer methods as runs make them, on a few small random images and a small network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from dmix.backbones.resnet import ResNet
from dmix.data.loading.loader import EvaluationSet
from dmix.data.loading.two_streams import TwoStreamLoader, Views
from dmix.data.sets.dataset import Split
from dmix.engine.method import Ingredients
from dmix.methods.addons.pairs import Pairs
from dmix.methods.transfer.bss import BatchSpectralShrinkage
from dmix.methods.transfer.co_tuning import CoTuning
from dmix.methods.transfer.fine_tuning import FineTuning
from dmix.methods.transfer.self_tuning import SelfTuning
from dmix.objectives.ce import ce
from dmix.objectives.dm_ce import class_terms as dm_terms
from dmix.objectives.dm_ce import dm_ce
from dmix.objectives.mce import class_terms as mce_terms
from dmix.objectives.mce import mce
from dmix.policies.mixup import Mixup
from dmix.policies.vanilla import Vanilla
from small_recipes import completed, trainer_of

CPU = torch.device("cpu")
CLASSES, SOURCES, ROWS, SIZE = 4, 6, 16, 8
RECIPE = {
    "steps": 120,
    "batch_size": 16,
    "unlabelled_ratio": 1,
    "optimizer": {"use": "sgd", "momentum": 0.9, "nesterov": True},
    "lr": 0.01,
    "weight_decay": 5e-4,
    "schedule": {"use": "multistep", "milestones": [80, 100], "lr_decay": 0.1},
    "head_lr_factor": 10.0,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "score": "best",
    "eval_every": 40,
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
    "threshold": 0.0,
    "mce_sides": "both",
    "power": 0.0,
    "joint": False,
    "freeze": False,
}
HOSTS = {
    "fine_tuning": (FineTuning, {}),
    "bss": (BatchSpectralShrinkage, {"shrinkage": 0.001, "k": 1}),
    "co_tuning": (CoTuning, {"relation_weight": 2.3}),
    "self_tuning": (
        SelfTuning,
        {
            "projection": 8,
            "depth": 3,
            "temperature": 0.07,
            "key_momentum": 0.999,
            "contrast": 1.0,
            "pseudo_forward": "reuse",
        },
    ),
}


@dataclass(frozen=True)
class Method:
    """A row of Table 6, or a variant of one: what of the method's and of the add-on's settings is changed."""

    host: str
    add_on: str = ""
    own: tuple[tuple[str, object], ...] = ()
    pairs: tuple[tuple[str, object], ...] = ()

    def __str__(self):
        return f"{self.host}{self.add_on}" + "".join(f"-{k}={v}" for k, v in (*self.own, *self.pairs))


TABLE_6 = [
    Method("fine_tuning"),
    Method("fine_tuning", "+dm"),
    Method("bss"),
    Method("co_tuning"),
    Method("co_tuning", "+dm"),
    Method("self_tuning"),
    Method("self_tuning", "+mixup"),
    Method("self_tuning", "+dm"),
]


def recipe(**changes):
    """The recipe with every setting, and its optimiser and schedule."""
    return completed(RECIPE, changes)


class Images:
    """Both streams of 16 images in two views, in an order that is a function of the step."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.images_per_step = ROWS
        # the labelled and the unlabelled images are of the same classes
        centres = np.random.default_rng(0).normal(size=(CLASSES, 3, SIZE, SIZE))
        self.labels = torch.arange(ROWS) % CLASSES
        one = centres[self.labels.numpy()] + rng.normal(size=(ROWS, 3, SIZE, SIZE))
        two = one + 0.2 * rng.normal(size=one.shape)
        self.views = tuple(torch.from_numpy(view).float() for view in (one, two))

    def batch(self, step):
        index = torch.from_numpy(np.random.default_rng(step).permutation(ROWS))
        return Views(tuple(view[index] for view in self.views), self.labels[index], index)

    def split(self):
        pixels = (self.views[0] * 0.25 + 0.5).clamp(0, 1).mul(255).byte()
        return Split(pixels.numpy(), self.labels.numpy())


def make_addon(add_on, policy=None, **settings):
    """The add-on "+mixup" or "+dm", or one of another policy; "+mixup" has no asymmetry."""
    objective, terms = (dm_ce, dm_terms) if add_on == "+dm" else (mce, mce_terms)
    if add_on == "+dm":
        objective, terms = partial(objective, eta=0.1), partial(terms, eta=0.1)
    else:
        settings["rule"] = "free"
    return Pairs(policy or Mixup(alpha=0.2), objective, terms, **settings)


def make_task(method, folder, settings):
    """The task of a method, on a network that is always the same at first."""
    torch.manual_seed(1)
    model = ResNet(CLASSES, stem="cifar", block="basic", layers=(1, 1), width=4)
    addon = make_addon(method.add_on, **{**PAIRS, **dict(method.pairs)}) if method.add_on else None
    ingredients = Ingredients(
        model,
        addon.policy if addon else Vanilla(),
        addon.objective if addon else ce,
        pixels=lambda images: images,
        recipe=settings,
        addon=addon,
        weights=source_file(folder),
        from_run=True,
        relation=relation_file(folder),
    )
    kind, own = HOSTS[method.host]
    return kind(ingredients, **{**own, **dict(method.own)})


def source_file(folder):
    """The weights of a run on other classes, of which Co-Tuning takes the classifier."""
    drawn = torch.Generator().manual_seed(7)
    weights = {
        "model.head.2.weight": torch.randn(SOURCES, 8, generator=drawn),
        "model.head.2.bias": torch.zeros(SOURCES),
    }
    path = folder / "weights.safetensors"
    safetensors.torch.save_file(weights, path)
    return path


def relation_file(folder):
    matrix = torch.rand(CLASSES, SOURCES, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    path = folder / "relationship.safetensors"
    safetensors.torch.save_file({"relationship": matrix / matrix.sum(1, keepdim=True)}, path)
    return path


def make_trainer(method, folder, **changes):
    """A run of a method: both streams, whether it reads both or not, and a reading of the labelled images."""
    settings = recipe(**changes)
    task = make_task(method, folder, settings)
    labelled, unlabelled = Images(1), Images(2)
    reads = bool(task.unlabelled) or (task.addon is not None and task.addon.unlabelled)
    loader = TwoStreamLoader(labelled, unlabelled if reads else None)
    test = EvaluationSet(
        labelled.split(), batch_size=8, mean=settings["mean"], std=settings["std"], device=CPU
    )
    return trainer_of(task, loader, test, settings, 3, label=str(method))


def trace(trainer, steps=None):
    """The losses of each step, as numbers, while the trainer takes steps up to a number, or to its end."""
    rows = []
    while trainer.step < (steps or trainer.total):
        trainer.train_step()
        rows.append(
            {name: float(value) for name, value in trainer._pending[-1].items()} if trainer._pending else {}
        )
    return rows


def values(module: torch.nn.Module) -> dict[str, Tensor]:
    """Copies of parameters and buffers, by name."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
