"""Mixup and CutMix as their papers state them: one row and one pixel at a time.

The draws are made again from a generator of the same seed, in the order in which the policies make them:
lam of every group, CutMix's centres (all x, then all y), then one permutation per group of rows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from dmix.losses.mce import mce
from dmix.mixups.cutmix import CutMix
from dmix.mixups.mixup import Mixup
from dmix.mixups.policy import Context, Draws
from dmix.models.backbone import Backbone

POLICIES = {"mixup": Mixup, "cutmix": CutMix}
CONTEXT = Context(Backbone(), mce, step=0, total_steps=1, pixels=lambda images: images)


class Settings(NamedTuple):
    alpha: float = 1.0
    lam_groups: int = 1
    derangement: bool = False


class Drawn(NamedTuple):
    lam: list[float]  # of every row, before any correction
    boxes: list[tuple[int, int, int, int]]  # of every row, as x0, y0, x1, y1; empty for Mixup
    partner: list[int]


class ForcedLam(np.random.Generator):
    """A generator whose Beta draws are all `lam`."""

    def __init__(self, lam, seed=0):
        super().__init__(np.random.PCG64(seed))
        self.lam = lam

    def beta(self, a, b, size=None):
        return np.full(size, self.lam)


def mix(name, images, labels, rng, settings=Settings()):  # noqa: B008 - immutable
    policy = POLICIES[name](**settings._asdict())
    return policy.mix(images, labels, Draws(rng, torch.Generator()), CONTEXT)


def chunks(n, groups):
    """Equal contiguous chunks of rows; the last may be shorter, or empty."""
    size = math.ceil(n / groups)
    return [range(min(group * size, n), min((group + 1) * size, n)) for group in range(groups)]


def redraw(name, rng, n, height, width, settings):
    alpha, groups, derangement = settings
    lams = rng.beta(alpha, alpha, size=groups).astype(np.float32).tolist()
    boxes = []
    if name == "cutmix":
        centres = zip(rng.integers(width, size=groups), rng.integers(height, size=groups), strict=True)
        boxes = [box(lam, *map(int, xy), height, width) for lam, xy in zip(lams, centres, strict=True)]
    rows = chunks(n, groups)
    per_row = [group for group, chunk in enumerate(rows) for _ in chunk]
    return Drawn(
        lam=[lams[group] for group in per_row],
        boxes=[boxes[group] for group in per_row] if boxes else [],
        partner=[chunk[k] for chunk in rows for k in permutation(rng, len(chunk), derangement)],
    )


def box(lam, centre_x, centre_y, height, width):
    ratio = math.sqrt(1 - lam)
    cut_w, cut_h = math.floor(width * ratio), math.floor(height * ratio)
    return (
        max(centre_x - cut_w // 2, 0),
        max(centre_y - cut_h // 2, 0),
        min(centre_x + cut_w // 2, width),
        min(centre_y + cut_h // 2, height),
    )


def permutation(rng, n, derangement):
    """One permutation; with `derangement` it is redrawn up to 10 times while a row is its own partner."""
    drawn = rng.permutation(n).tolist()
    for _ in range(10 if derangement else 0):
        if all(i != k for i, k in enumerate(drawn)):
            break
        drawn = rng.permutation(n).tolist()
    return drawn


def mixup(images, drawn):
    mixed = torch.empty_like(images)
    for index in np.ndindex(*images.shape):
        row, *pixel = index
        weight = torch.tensor(drawn.lam[row], dtype=images.dtype)
        mixed[index] = weight * images[index] + (1 - weight) * images[(drawn.partner[row], *pixel)]
    return mixed, drawn.lam


def cutmix(images, drawn):
    mixed = torch.empty_like(images)
    n, channels, height, width = images.shape
    own = [0] * n
    for row, y, x in np.ndindex(n, height, width):
        x0, y0, x1, y1 = drawn.boxes[row]
        pasted = x0 <= x < x1 and y0 <= y < y1
        own[row] += not pasted
        for channel in range(channels):
            mixed[row, channel, y, x] = images[drawn.partner[row] if pasted else row, channel, y, x]
    return mixed, [count / (height * width) for count in own]


NAIVE = {"mixup": mixup, "cutmix": cutmix}
