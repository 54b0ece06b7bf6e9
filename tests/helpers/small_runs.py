"""Runs of a few steps on a few random images, without a data set or a specification."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from dmix.backbones.backbone import Backbone
from dmix.backbones.resnet import ResNet
from dmix.data.augment.identity import Identity
from dmix.data.loading.loader import EvaluationSet, ResidentLoader
from dmix.data.sets.dataset import Split
from dmix.engine.distributed import here
from dmix.engine.method import Ingredients
from dmix.methods.supervised import Supervised
from dmix.objectives.mce import mce
from dmix.policies.vanilla import Vanilla
from small_recipes import completed, trainer_of

CPU = torch.device("cpu")
CLASSES = 5
SIZE = 8
SEED = 3
SGD = {
    "epochs": 2,
    "batch_size": 8,
    "optimizer": {"use": "sgd", "momentum": 0.9},
    "lr": 0.1,
    "weight_decay": 0.01,
    "schedule": {"use": "cosine"},
    "mean": (0.5, 0.5, 0.5),
    "std": (0.25, 0.25, 0.25),
    "score": "last",
    "eval_every": 1,
}
ADAPTIVE = {"momentum": 0.9, "beta2": 0.99, "eps": 1e-6}
RECIPES = {
    "sgd": {},
    "adamw": {"optimizer": {"use": "adamw", **ADAPTIVE}, "lr": 0.01, "weight_decay": 0.1},
    "lamb": {"optimizer": {"use": "lamb", **ADAPTIVE}, "lr": 0.01, "weight_decay": 0.1, "clip_norm": 0.5},
    "warmup": {"schedule": {"warmup_epochs": 1, "warmup_start": 0.1, "lr_end": 0.01}},
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16", "clip_norm": 1.0},
}


def recipe(**changes):
    """The recipe with every setting, and its optimiser and schedule."""
    return completed(SGD, changes)


class NormFree(Backbone):
    """Two convolutions and a classifier, so that no row of a batch sees another."""

    channels = (4, 6)

    def __init__(self, dropout=0.0):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.stages = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.GELU()) for a, b in ((4, 4), (4, 6))]
        )
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(dropout))
        self.head = nn.Sequential(pool, nn.Linear(24, CLASSES))


def norm_free(dropout=0.0):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return NormFree(dropout)


def with_norms():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return ResNet(CLASSES, stem="cifar", block="basic", layers=(1, 1), width=4)


def split(n, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, size=(n, 3, SIZE, SIZE), dtype=np.uint8)
    return Split(images, rng.integers(CLASSES, size=n))


def make_task(model=None, policy=None, objective=mce):
    model = norm_free() if model is None else model
    policy = Vanilla() if policy is None else policy
    with torch.random.fork_rng():
        torch.manual_seed(2)
        policy.attach(model)
    return Supervised(Ingredients(model, policy, objective, pixels=lambda images: images / 4 + 0.5))


def loader_for(settings, n=24):
    feed = {"mean": settings["mean"], "std": settings["std"], "device": CPU}
    rows = here().rows(settings["batch_size"])
    size = {"batch_size": settings["batch_size"], "rows": rows}
    return ResidentLoader(split(n), Identity(), seed=SEED, **size, **feed)


def make_trainer(settings, task=None, n=24, tests=13, test_batch=4):
    """A trainer of 3 steps an epoch, if not told otherwise, read on 13 images in 4 batches."""
    feed = {"mean": settings["mean"], "std": settings["std"], "device": CPU}
    test = EvaluationSet(split(tests, seed=1), batch_size=test_batch, share=here().batches(), **feed)
    task = make_task() if task is None else task
    return trainer_of(task, loader_for(settings, n), test, settings, SEED, label="small")


def values(module):
    """Copies of the parameters and buffers, by name."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def differences(one, other, path=""):
    """The paths at which two states differ, bit by bit."""
    if isinstance(one, torch.Tensor):
        return [] if one.dtype == other.dtype and torch.equal(one, other) else [path]
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return [path]
        return [place for key in one for place in differences(one[key], other[key], f"{path}/{key}")]
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return [path]
        pairs = enumerate(zip(one, other, strict=True))
        return [place for key, (a, b) in pairs for place in differences(a, b, f"{path}/{key}")]
    return [] if one == other else [path]
