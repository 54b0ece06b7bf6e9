"""The static policies as their papers state them: one row and one pixel at a time.

The draws are made again from generators of the same seeds, in the order in which the policies make them.
Centres are drawn all x, then all y; partners are one permutation per group of rows.

| policy | order of the draws |
|---|---|
| Mixup, SaliencyMix | lam of every group, partners |
| ManifoldMix | the same, then the layer |
| CutMix | lam of every group, centres of the groups, partners |
| ResizeMix | tau of every group, a uniform tau of every group, centres of groups or rows, partners |
| FMix | lam of every group, the coin of every group, partners; noise of every group on the device |
| MixupCutMix | which of the two, then as that one |
"""

from __future__ import annotations

import cmath
import math
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from dmix.backbones.backbone import Backbone
from dmix.objectives.mce import mce
from dmix.policies.cutmix import CutMix
from dmix.policies.fmix import FMix
from dmix.policies.manifoldmix import ManifoldMix
from dmix.policies.mixup import Mixup
from dmix.policies.mixup_cutmix import MixupCutMix
from dmix.policies.policy import Context, Draws
from dmix.policies.resizemix import ResizeMix
from dmix.policies.saliencymix import SaliencyMix

LAYERS = (0, 2, 1)
DECAY = 3.0


def mixup_cutmix(alpha, **common):
    return MixupCutMix(mixup_alpha=alpha, cutmix_alpha=alpha, **common)


POLICIES = {
    "mixup": Mixup,
    "cutmix": CutMix,
    "mixup_cutmix": mixup_cutmix,
    "manifoldmix": partial(ManifoldMix, layers=LAYERS),
    "fmix": partial(FMix, decay=DECAY),
    "resizemix clipped": partial(ResizeMix, placement="clipped"),
    "resizemix inside": partial(ResizeMix, placement="inside"),
    **{
        f"saliencymix {saliency_input} {'image' if per_image else 'group'}": partial(
            SaliencyMix, saliency_input=saliency_input, per_image=per_image
        )
        for saliency_input in ("float_normalised", "uint8")
        for per_image in (False, True)
    },
}


def pixels(images):
    """Normalised with mean 1/2 and standard deviation 1/4, which is exact."""
    return images * 0.25 + 0.5


CONTEXT = Context(Backbone(), mce, step=0, total_steps=1, pixels=pixels)


class Settings(NamedTuple):
    alpha: float = 1.0
    derangement: bool = False


class Drawn(NamedTuple):
    lam: list[float]  # of every row, before any correction
    boxes: list[tuple[int, int, int, int]]  # of every row, as x0, y0, x1, y1; empty for Mixup
    partner: list[int]


class Expected(NamedTuple):
    images: Tensor
    lam: list[float]
    partner: list[int]
    layer: int | None = None


class ForcedLam(np.random.Generator):
    """A generator whose Beta draws are all `lam`."""

    def __init__(self, lam, seed=0):
        super().__init__(np.random.PCG64(seed))
        self.lam = lam

    def beta(self, a, b, size=None):
        return np.full(size, self.lam)


def noise_generator(seed=0):
    return torch.Generator().manual_seed(seed)


def mix(name, images, labels, rng, settings=Settings(), noise_seed=0):  # noqa: B008 - immutable
    policy = POLICIES[name](**settings._asdict())
    return policy.mix(images, labels, Draws(rng, noise_generator(noise_seed)), CONTEXT)


def expect(name, images, rng, settings=Settings(), noise_seed=0):  # noqa: B008 - immutable
    kind, *options = name.split()
    return NAIVE[kind](images, rng, noise_generator(noise_seed), settings, *options)


def redraw(name, rng, n, height, width, settings):
    lam = draw_lam(rng, settings)
    boxes = []
    if name == "cutmix":
        (centre,) = draw_centres(rng, 1, height, width)
        boxes = [box(math.sqrt(1 - lam), *centre, height, width)] * n
    return Drawn(lam=[lam] * n, boxes=boxes, partner=draw_partners(rng, n, settings))


def draw_lam(rng, settings):
    return float(rng.beta(settings.alpha, settings.alpha, size=1).astype(np.float32)[0])


def draw_centres(rng, count, height, width):
    x = rng.integers(width, size=count).tolist()
    return list(zip(x, rng.integers(height, size=count).tolist(), strict=True))


def draw_partners(rng, n, settings):
    return permutation(rng, n, settings.derangement)


def permutation(rng, n, derangement):
    """One permutation; with `derangement` it is redrawn up to 10 times while a row is its own partner."""
    drawn = rng.permutation(n).tolist()
    for _ in range(10 if derangement else 0):
        if all(i != k for i, k in enumerate(drawn)):
            break
        drawn = rng.permutation(n).tolist()
    return drawn


def box(ratio, centre_x, centre_y, height, width):
    cut_w, cut_h = math.floor(width * ratio), math.floor(height * ratio)
    return (
        max(centre_x - cut_w // 2, 0),
        max(centre_y - cut_h // 2, 0),
        min(centre_x + cut_w // 2, width),
        min(centre_y + cut_h // 2, height),
    )


def box_inside(ratio, centre_x, centre_y, height, width):
    box_w, box_h = math.floor(width * ratio), math.floor(height * ratio)
    x, y = centre_x - box_w // 2, centre_y - box_h // 2
    while x < 0:
        x += 1
    while x + box_w > width:
        x -= 1
    while y < 0:
        y += 1
    while y + box_h > height:
        y -= 1
    return x, y, x + box_w, y + box_h


def paste(images, boxes, partner, show):
    """Inside its box, a row shows the pixel `show(box, y, x)` of its partner; lam is the share outside."""
    mixed = images.clone()
    n, _, height, width = images.shape
    own = [0] * n
    for row, y, x in np.ndindex(n, height, width):
        x0, y0, x1, y1 = boxes[row]
        if x0 <= x < x1 and y0 <= y < y1:
            shown_y, shown_x = show(boxes[row], y, x)
            mixed[row, :, y, x] = images[partner[row], :, shown_y, shown_x]
        else:
            own[row] += 1
    return Expected(mixed, [count / (height * width) for count in own], partner)


def same_place(_, y, x):
    return y, x


def mixup(images, rng, _, settings):
    drawn = redraw("mixup", rng, len(images), *images.shape[2:], settings)
    mixed = images.clone()
    for row, y, x in np.ndindex(len(images), *images.shape[2:]):
        weight = torch.tensor(drawn.lam[row], dtype=images.dtype)
        b = drawn.partner[row]
        mixed[row, :, y, x] = weight * images[row, :, y, x] + (1 - weight) * images[b, :, y, x]
    return Expected(mixed, drawn.lam, drawn.partner)


def cutmix(images, rng, _, settings):
    drawn = redraw("cutmix", rng, len(images), *images.shape[2:], settings)
    return paste(images, drawn.boxes, drawn.partner, same_place)


def mixup_or_cutmix(images, rng, noise, settings):
    return (cutmix if rng.random() < 0.5 else mixup)(images, rng, noise, settings)


def manifoldmix(images, rng, _, settings):
    drawn = redraw("manifoldmix", rng, len(images), *images.shape[2:], settings)
    return Expected(images, drawn.lam, drawn.partner, LAYERS[rng.integers(3)])


def fmix(images, rng, noise, settings):
    n, _, height, width = images.shape
    total = height * width
    lam = draw_lam(rng, settings)
    kept = math.floor(lam * total) if rng.random() < 0.5 else math.ceil(lam * total)
    partner = draw_partners(rng, n, settings)
    white = torch.randn(1, height, width, generator=noise).double().numpy()[0]
    field = low_frequency(white, DECAY)
    highest_first = sorted(np.ndindex(height, width), key=lambda pixel: -field[pixel])
    own = set(highest_first[:kept])
    mixed = images.clone()
    for row, y, x in np.ndindex(n, height, width):
        if (y, x) not in own:
            mixed[row, :, y, x] = images[partner[row], :, y, x]
    return Expected(mixed, [lam] * n, partner)


def low_frequency(white, decay):
    """Filter by the definition of the Fourier transform, over the full grid of frequencies."""
    height, width = white.shape
    dft_y, dft_x = dft(height), dft(width)
    spectrum = dft_y @ white @ dft_x
    for y, x in np.ndindex(height, width):
        f_y, f_x = min(y, height - y) / height, min(x, width - x) / width
        spectrum[y, x] /= max(math.hypot(f_y, f_x), 1 / max(height, width)) ** decay
    field = dft_y.conj() @ spectrum @ dft_x.conj() / (height * width)
    assert np.abs(field.imag).max() <= 1e-9 * np.abs(field.real).max() + 1e-12
    return field.real


def dft(side):
    return np.array([[cmath.exp(-2j * cmath.pi * i * k / side) for i in range(side)] for k in range(side)])


def resizemix(images, rng, _, settings, placement):
    n, _, height, width = images.shape
    beta = rng.beta(settings.alpha, settings.alpha)
    uniform = rng.uniform(0.1, 0.8)
    tau = [beta if 0.1 <= beta <= 0.8 else uniform] * n
    if placement == "clipped":
        centres, place = draw_centres(rng, 1, height, width) * n, box
    else:
        centres, place = draw_centres(rng, n, height, width), box_inside
    boxes = [place(t, *centre, height, width) for t, centre in zip(tau, centres, strict=True)]

    def show(the_box, y, x):
        x0, y0, x1, y1 = the_box
        return (y - y0) * height // (y1 - y0), (x - x0) * width // (x1 - x0)

    return paste(images, boxes, draw_partners(rng, n, settings), show)


def saliencymix(images, rng, _, settings, saliency_input, sharing):
    n, _, height, width = images.shape
    lam = [draw_lam(rng, settings)] * n
    partner = draw_partners(rng, n, settings)
    boxes = []
    for row in range(n):
        source = images[partner[row if sharing == "image" else 0]]
        y, x = peak(source, saliency_input)
        boxes.append(box(math.sqrt(1 - lam[row]), x, y, height, width))
    return paste(images, boxes, partner, same_place)


def peak(image, saliency_input):
    """Row and column of the highest byte of OpenCV's map, the first in row-major order."""
    if saliency_input == "uint8":
        values = [min(255, max(0, round(float(255 * v)))) for v in pixels(image).float().flatten()]
        image = torch.tensor(values, dtype=torch.uint8).view(image.shape)
    else:
        image = image.float()
    saliency = opencv_map(image).tolist()
    best = (0, 0)
    for y, x in np.ndindex(len(saliency), len(saliency[0])):
        if saliency[y][x] > saliency[best[0]][best[1]]:
            best = (y, x)
    return best


def opencv_map(image):
    """OpenCV's map of one (3, H, W) image, (H, W) bytes."""
    detector = cv2.saliency.StaticSaliencyFineGrained_create()
    _, saliency = detector.computeSaliency(np.ascontiguousarray(image.numpy().transpose(1, 2, 0)))
    return (saliency * 255).astype(np.uint8)


NAIVE = {
    "mixup": mixup,
    "cutmix": cutmix,
    "mixup_cutmix": mixup_or_cutmix,
    "manifoldmix": manifoldmix,
    "fmix": fmix,
    "resizemix": resizemix,
    "saliencymix": saliencymix,
}
