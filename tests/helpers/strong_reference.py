"""The strong augmentation of one image with Pillow, from the draws of the batched one."""

from dmix.data.augment.strong_pillow import NAMES, OPERATIONS
from dmix.data.augment.strong_pillow import augmented as strong
from dmix.data.augment.strong_pillow import cut_out as cutout
from dmix.data.augment.strong_pillow import shifted as crop_flip

__all__ = ["NAMES", "OPERATIONS", "crop_flip", "cutout", "strong"]
