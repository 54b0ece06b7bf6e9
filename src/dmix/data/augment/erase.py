"""Random erasing (Zhong et al., 2020): fills a box of an image with noise.

Published recipes erase after normalisation, with noise of mean 0 and standard deviation 1 per channel. Here
the image still has levels 0 to 255, so the noise has ImageNet's mean and standard deviation in levels. After
normalisation both agree, except for rounding and the 3 to 4 % of values that are clipped to 0..255. OpenMixup
also erases before normalisation.
"""

from __future__ import annotations

import math

import numpy as np

from dmix.data.augment.resize import Image

AREA = (0.02, 1 / 3)  # of the box, as a share of the image's area
RATIO = (0.3, 1 / 0.3)  # height over width
ATTEMPTS = 10
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)


def erase(image: Image, probability: float, rng: np.random.Generator) -> Image:
    """Return, with `probability`, a copy of uint8 (H, W, 3) with a box of noise, else the image itself."""
    if rng.random() >= probability:
        return image
    height, width = image.shape[:2]
    for _ in range(ATTEMPTS):
        area = rng.uniform(*AREA) * height * width
        ratio = math.exp(rng.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        tall, wide = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if tall < height and wide < width:
            top = rng.integers(0, height - tall, endpoint=True)
            left = rng.integers(0, width - wide, endpoint=True)
            erased = image.copy()
            noise = rng.normal(MEAN, STD, (tall, wide, 3))
            erased[top : top + tall, left : left + wide] = np.rint(noise).clip(0, 255)
            return erased
    return image
