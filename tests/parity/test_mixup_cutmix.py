from __future__ import annotations

import numpy as np
import pytest
import torch

from dmix.policies.cutmix import CutMix
from dmix.policies.mixup import Mixup
from dmix.policies.mixup_cutmix import MixupCutMix
from dmix.policies.policy import Draws
from montecarlo import assert_mean
from naive_mixing import CONTEXT, noise_generator

IMAGES = torch.randn(4, 3, 5, 7, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(4)


def mix(policy, rng):
    return policy.mix(IMAGES, LABELS, Draws(rng, noise_generator()), CONTEXT)


def cuts(mixed):
    return mixed.mask.dtype == torch.bool


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_cutmix_is_drawn_as_often_as_its_share(share):
    rng = np.random.default_rng(1)
    policy = MixupCutMix(mixup_alpha=0.8, cutmix_alpha=1.0, cutmix_share=share)
    assert_mean([cuts(mix(policy, rng)) for _ in range(3000)], share)


@pytest.mark.parametrize(
    ("share", "alone"),
    [
        (0.0, Mixup(alpha=0.1, derangement=True)),
        (1.0, CutMix(alpha=2.0, derangement=True)),
    ],
)
def test_each_has_its_own_alpha_and_the_common_settings(share, alone):
    """Many batches: after the switch's draw, all is the one policy's."""
    policy = MixupCutMix(mixup_alpha=0.1, cutmix_alpha=2.0, cutmix_share=share, derangement=True)
    rng, other = np.random.default_rng(2), np.random.default_rng(2)
    for _ in range(50):
        found = mix(policy, rng)
        other.random()
        expected = mix(alone, other)
        assert torch.equal(found.images, expected.images)
        assert torch.equal(found.lam, expected.lam)
        assert torch.equal(found.y_b, expected.y_b)
