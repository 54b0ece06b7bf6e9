"""Draws procedural images: one object of the class's shape and hue, with its exact mask.

Pixels are computed by +, -, *, /, sqrt and floor only, which round alike on every processor, while sine and
exponential do not: the same seed gives the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

CHUNK = 500  # images drawn at once: bounds memory, and fixes the order of the random draws
HUE_JITTER = 0.04  # either way, where neighbouring hues of a hundred classes are 0.1 apart
SHARE = (0.12, 0.22)  # of the picture's area that the object covers
DISTRACTORS = 3
MAX_CLASSES = 1000

# Each shape says which points (u, v) of the square [-1, 1] x [-1, 1] belong to it.
SHAPES: dict[str, Callable[[Floats, Floats], Bools]] = {
    "disc": lambda u, v: u * u + v * v < 1,
    "square": lambda u, v: np.maximum(abs(u), abs(v)) < 1,
    "triangle": lambda u, v: (abs(v) < 1) & (abs(u) < (v + 1) / 2),
    "ring": lambda u, v: (u * u + v * v < 1) & (u * u + v * v > 0.36),
    "cross": lambda u, v: (np.minimum(abs(u), abs(v)) < 0.3) & (np.maximum(abs(u), abs(v)) < 1),
    "bar": lambda u, v: (abs(u) < 1) & (abs(v) < 0.4),
    "half": lambda u, v: (u * u + v * v < 1) & (v > 0),
    "crescent": lambda u, v: (u * u + v * v < 1) & ((u - 0.5) * (u - 0.5) + v * v > 0.64),
    "corner": lambda u, v: (np.maximum(abs(u), abs(v)) < 1) & ((u < -0.2) | (v > 0.2)),
    "hourglass": lambda u, v: (abs(u) < abs(v)) & (abs(v) < 1),
}


def class_name(label: int) -> str:
    """Return a name such as "ring_3": the shape, and the cue (hue and texture) that goes with it."""
    return f"{list(SHAPES)[label % len(SHAPES)]}_{label // len(SHAPES)}"


def render(
    labels: npt.NDArray[np.int64], size: int, classes: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], Bools]:
    """Draw one image per label.

    Class c has shape c mod 10; its hue is one of ten by the next digit of c (by c itself when there
    are at most ten classes), and from class 100 on stripes tell the classes apart. What is drawn
    from `rng` never depends on the labels: outside both objects' masks, two renderings of one seed
    with different labels agree in every bit.

    Parameters
    ----------
    labels: int64 (N,), 0..classes-1.
    size: side in pixels.
    classes: 2..1000.
    rng: its state alone decides everything that the label does not.

    Returns
    -------
    images uint8 (N, 3, size, size) and masks bool (N, size, size), true exactly where the object is.

    Raises
    ------
    ValueError: `classes` or a label is out of range.
    """
    if not 2 <= classes <= MAX_CLASSES:
        raise ValueError(f"{classes} classes; the recipe has 2..{MAX_CLASSES}")
    if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(f"labels outside 0..{classes - 1}")
    images = np.empty((len(labels), 3, size, size), np.uint8)
    masks = np.empty((len(labels), size, size), np.bool_)
    for start in range(0, len(labels), CHUNK):
        stop = start + CHUNK
        images[start:stop], masks[start:stop] = _chunk(labels[start:stop], size, classes, rng)
    return images, masks


def _chunk(
    labels: npt.NDArray[np.int64], size: int, classes: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], Bools]:
    n = len(labels)
    centres = (np.arange(size) + 0.5) / size
    x, y = centres[None, None, :], centres[None, :, None]

    picture = _background(n, x, y, rng)
    for _ in range(DISTRACTORS):
        _paint(picture, _distractor(n, x, y, rng), _colour(_between(rng, 0, 1, n), n, rng)[:, :, None, None])
    mask, u = _object(labels % len(SHAPES), x, y, rng)
    cue = labels // len(SHAPES) if classes > 10 else labels
    hues = min(10, -(-classes // 10)) if classes > 10 else classes
    hue = (cue % 10) / hues + _between(rng, -HUE_JITTER, HUE_JITTER, n)
    colour = _colour(hue, n, rng)[:, :, None, None] * _stripes(cue // 10, u, rng)[:, None]
    _paint(picture, mask, colour)

    # a triangular distribution: near enough to normal, and free of logarithms
    noise = rng.integers(0, 256, (2, *picture.shape), np.uint8).sum(0, np.int64) - 255
    pixels = np.floor(255 * picture + 0.08 * noise + 0.5)
    return pixels.clip(0, 255).astype(np.uint8), mask


def _background(n: int, x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
    """Return float (n, 3, S, S): a grey with a slight tint and two waves across it."""
    grey = _between(rng, 0.35, 0.65, (n, 1, 1, 1)) + _between(rng, -0.06, 0.06, (n, 3, 1, 1))
    for _ in range(2):
        depth = _between(rng, 0.03, 0.1, (n, 1, 1))
        grey = grey + (depth * _wave(_plane(x, y, 2.5, n, rng)))[:, None]
    return grey


def _distractor(n: int, x: Floats, y: Floats, rng: np.random.Generator) -> Bools:
    """Return bool (n, S, S): a small disc or square somewhere."""
    dx, dy = (abs(axis - _between(rng, 0, 1, (n, 1, 1))) for axis in (x, y))
    radius = _between(rng, 0.04, 0.1, (n, 1, 1))
    disc = dx * dx + dy * dy < radius * radius
    square = np.maximum(dx, dy) < radius
    return np.where(rng.random((n, 1, 1)) < 0.5, disc, square)


def _object(
    shapes: npt.NDArray[np.int64], x: Floats, y: Floats, rng: np.random.Generator
) -> tuple[Bools, Floats]:
    """Return the mask, bool (n, S, S), and the object's own first coordinate, float (n, S, S)."""
    n = len(shapes)
    dx, dy = (axis - _between(rng, 0.35, 0.65, (n, 1, 1)) for axis in (x, y))
    # a rational turn by up to +-20 degrees: (cos, sin) = (1 - t^2, 2t) / (1 + t^2)
    t = _between(rng, -0.18, 0.18, (n, 1, 1))
    cos, sin = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    half = np.sqrt(_between(rng, *SHARE, n) / _AREAS[shapes])[:, None, None]
    u, v = (cos * dx + sin * dy) / half, (cos * dy - sin * dx) / half
    mask = np.empty(u.shape, np.bool_)
    for number, inside in enumerate(SHAPES.values()):
        rows = np.flatnonzero(shapes == number)
        mask[rows] = inside(u[rows], v[rows])
    return mask, u


def _stripes(texture: npt.NDArray[np.int64], u: Floats, rng: np.random.Generator) -> Floats:
    """Return brightness factors, float (n, S, S): plain for texture 0, else that many stripes."""
    phase = _between(rng, 0, 1, (len(texture), 1, 1))
    count = texture[:, None, None]
    return np.where((count > 0) & (_wave(u * count / 2 + phase) > 0), 0.5, 1.0)


def _colour(hue: Floats, n: int, rng: np.random.Generator) -> Floats:
    """Return bright, saturated colours, float (n, 3), of the hues (n,); 0 and 1 are the same red."""
    saturation, value = _between(rng, 0.75, 1, n), _between(rng, 0.75, 1, n)
    turn = hue - np.floor(hue)
    ramps = [abs(6 * turn - 3) - 1, 2 - abs(6 * turn - 2), 2 - abs(6 * turn - 4)]
    pure = np.stack(ramps, axis=1).clip(0, 1)
    colour: Floats = value[:, None] * (1 - saturation[:, None] * (1 - pure))
    return colour


def _paint(picture: Floats, mask: Bools, colour: Floats) -> None:
    np.copyto(picture, np.broadcast_to(colour, picture.shape), where=mask[:, None])


def _plane(x: Floats, y: Floats, most: float, n: int, rng: np.random.Generator) -> Floats:
    a, b = _between(rng, -most, most, (n, 1, 1)), _between(rng, -most, most, (n, 1, 1))
    return a * x + b * y + _between(rng, 0, 1, (n, 1, 1))


def _wave(t: Floats) -> Floats:
    """Return a smooth wave of period 1 in -1..1, made of parabolas."""
    s = 2 * (t - np.floor(t)) - 1
    return 4 * s * (1 - abs(s))


def _between(rng: np.random.Generator, low: float, high: float, shape: int | tuple[int, ...]) -> Floats:
    return low + (high - low) * rng.random(shape)


def _areas() -> Floats:
    """Measure each shape on a fine grid: equal areas make shape and size independent."""
    ticks = (np.arange(256) + 0.5) / 128 - 1
    return np.array([4 * inside(ticks[None, :], ticks[:, None]).mean() for inside in SHAPES.values()])


_AREAS = _areas()
