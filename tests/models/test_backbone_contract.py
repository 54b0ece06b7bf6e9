"""What every backbone must keep to: each part in the folder, in each form that the smoke tier trains it in.

A new backbone is covered by its entry in params.yaml and a grid that names it, with no line here.
"""

from __future__ import annotations

import copy
import inspect
import re

import pytest
import torch

from dmix import PACKAGE
from dmix.backbones.backbone import HiddenMix
from dmix.engine.parts import load_part
from dmix.grid.parts import ROOMS, read_part
from project import real_grid
from small_backbones import SMALL

CLASSES = 7
N = 5
FOUND = {
    part.attribute: path.stem
    for path in sorted((PACKAGE / ROOMS["backbone"]).glob("*.py"))
    if "@part" in path.read_text(encoding="utf-8") and (part := read_part("backbone", path.stem))
}
"""Class -> module of every backbone there is."""


def of_grids():
    """Entry of params.yaml -> its settings at the smoke tier, and the side of the images."""
    for spec in real_grid("smoke").runs.values():
        settings = spec.settings["backbone"]
        side = spec.settings["view"].get("size") or spec.settings["dataset"]["image_size"]
        yield spec.axes["backbone"], (settings, (side, side))


def of_tests():
    """The small networks of other tests, which have a size that is no square."""
    for name, (kind, settings, size) in SMALL.items():
        yield f"small {name}", ({"use": FOUND[kind.__name__], **settings}, size)


CASES = dict((*of_tests(), *of_grids()))


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def build(case, seed=1):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return load_part("backbone", case[0], CLASSES)


@pytest.fixture
def model(case):
    return build(case)


@pytest.fixture
def images(case):
    return torch.randn(N, 3, *case[1], generator=torch.Generator().manual_seed(0))


def seeded(model, *arguments):
    """Return the logits, with the draws of dropout always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return model(*arguments)


def test_every_backbone_is_among_the_cases():
    tried = {settings["use"] for settings, _ in CASES.values()}
    assert set(FOUND.values()) == tried, "name the new backbone's entry in a grid of params.yaml"


@pytest.mark.parametrize("use", FOUND.values())
def test_every_setting_is_documented(use):
    part = read_part("backbone", use)
    module = __import__(part.module, fromlist=[part.attribute])
    text = inspect.getdoc(getattr(module, part.attribute))
    assert [name for name in part.model.model_fields if not re.search(rf"\b{name}\b", text)] == []


def test_logits_and_maps_have_their_shapes(model, images):
    before = images.clone()
    features = model.features(images)
    assert torch.equal(images, before)
    assert len(features) == len(model.channels)
    for channels, feature in zip(model.channels, features, strict=True):
        found = model.as_map(feature)
        assert found.shape[:2] == (N, channels)
        assert found.dim() == 4
    logits = model.head(features[-1])
    assert logits.shape == (N, CLASSES)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_mixing_with_lam_1_changes_nothing(model, images, training):
    model.train(training)
    plain = seeded(model, images)
    for layer in range(len(model.channels) + 1):
        mix = HiddenMix(layer, torch.tensor([3, 0, 2, 4, 1]), torch.ones(N))
        assert torch.equal(seeded(model, images, mix), plain)


def test_mixing_with_lam_0_is_the_network_of_the_partners(model, images):
    model.eval()
    plain = model(images)
    for layer in range(len(model.channels) + 1):
        mix = HiddenMix(layer, torch.tensor([3, 0, 2, 4, 1]), torch.zeros(N))
        torch.testing.assert_close(model(images, mix), plain[mix.partner])


def test_a_state_fills_another_network(case, model, images):
    other = build(case, seed=2)
    seeded(model, images)  # moves the statistics of batch norms
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.eval()(images), model.eval()(images))


def test_a_copy_computes_the_same_and_shares_nothing(model, images):
    duplicate = copy.deepcopy(model)
    assert torch.equal(seeded(duplicate, images), seeded(model, images))
    expected = model.eval()(images)
    with torch.no_grad():
        for tensor in duplicate.state_dict().values():
            tensor.zero_()
    assert torch.equal(model(images), expected)


def test_every_trainable_parameter_has_a_gradient(model, images):
    seeded(model, images).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_no_value_is_read_back_from_the_device(model, images):
    model.to("meta")
    mix = HiddenMix(1, torch.arange(N, device="meta"), torch.ones(N, device="meta"))
    assert model(images.to("meta"), mix).shape == (N, CLASSES)
