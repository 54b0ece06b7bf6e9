from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

from dmix.backbones.backbone import Backbone
from dmix.backbones.resnet import ResNet
from dmix.errors import DmixError
from dmix.policies.manifoldmix import ManifoldMix
from dmix.policies.policy import Draws
from naive_mixing import CONTEXT, LAYERS, ForcedLam, Settings, mix, noise_generator

N = 6


@pytest.fixture
def images():
    return torch.randn(N, 3, 8, 12, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    torch.manual_seed(1)
    return ResNet(7, stem="cifar", block="basic", layers=(1, 1, 1), width=4)


def manifold_mix(images, rng, **settings):
    draws = Draws(rng, noise_generator())
    return ManifoldMix(alpha=1.0, **settings).mix(images, torch.arange(len(images)), draws, CONTEXT)


def test_layers_are_drawn_uniformly(images):
    rng = np.random.default_rng(0)
    drawn = Counter(manifold_mix(images, rng, layers=LAYERS).hidden.layer for _ in range(3000))
    assert set(drawn) == set(LAYERS)
    assert stats.chisquare(list(drawn.values())).pvalue > 1e-3


@pytest.mark.parametrize("settings", [Settings(), Settings(derangement=True)], ids=str)
def test_layer_0_is_mixup_with_the_same_draws(model, images, settings):
    labels = torch.arange(N)
    common = settings._asdict()
    common.pop("alpha")
    hidden = manifold_mix(images, np.random.default_rng(3), layers=(0,), **common)
    mixed = mix("mixup", images, labels, np.random.default_rng(3), settings)
    assert torch.equal(hidden.lam, mixed.lam)
    assert torch.equal(hidden.y_b, mixed.y_b)
    assert torch.equal(hidden.hidden.apply(images), mixed.images)
    assert torch.equal(model(hidden.images, hidden.hidden), model(mixed.images))


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_network_mixes_as_by_hand(model, images, layer):
    """Row by row, after as many stages as the layer says."""
    mixed = manifold_mix(images, np.random.default_rng(4), layers=(layer,))

    def by_hand(h):
        pairs = zip(mixed.y_a, mixed.y_b, mixed.lam, strict=True)
        return torch.stack([lam * h[a] + (1 - lam) * h[b] for a, b, lam in pairs])

    h = by_hand(images) if layer == 0 else images
    h = model.stem(h)
    for number, stage in enumerate(model.stages, start=1):
        h = stage(h)
        h = by_hand(h) if number == layer else h
    torch.testing.assert_close(model(mixed.images, mixed.hidden), model.head(h), rtol=0, atol=1e-6)
    assert not torch.equal(mixed.y_b, mixed.y_a)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_lam_1_is_the_plain_forward(model, images, layer):
    mixed = manifold_mix(images, ForcedLam(1.0), layers=(layer,))
    assert torch.equal(model(mixed.images, mixed.hidden), model(images))


@pytest.mark.parametrize(
    ("stages", "layers", "fits"), [(3, (0, 1, 2), True), (4, (3,), True), (3, (0, 3), False)]
)
def test_layers_must_lie_before_the_last_stage(stages, layers, fits):
    model = Backbone()
    model.channels = (4,) * stages
    policy = ManifoldMix(alpha=1.0, layers=layers)
    if fits:
        policy.attach(model)
        return
    with pytest.raises(DmixError) as caught:
        policy.attach(model)
    assert "policy.layers" in caught.value.message
    assert "layer 3" in caught.value.message
    assert "0 (the input) to 2" in caught.value.way_out
