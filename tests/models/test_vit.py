from __future__ import annotations

import pytest
import torch

from dmix import vision
from dmix.backbones.vit import ViT
from dmix.errors import DmixError
from reference_weights import copy_weights, shake
from small_backbones import SMALL, images_for, small_backbone

DEIT_SMALL = {"image_size": 224, "patch_size": 16, "embed_dim": 384, "layers": (3, 3, 6), "heads": 6}


@pytest.fixture
def pair():
    """DeiT-S here and in timm, both drawn from one seed."""
    torch.manual_seed(0)
    model = ViT(1000, **DEIT_SMALL)
    torch.manual_seed(0)
    return model.eval(), vision.timm().create_model("deit_small_patch16_224", pretrained=False).eval()


def test_weights_are_those_of_timm_from_the_start(pair):
    model, reference = pair
    assert sum(parameter.numel() for parameter in model.parameters()) == 22_050_664
    pairs = zip(model.state_dict().values(), reference.state_dict().values(), strict=True)
    assert all(torch.equal(own, theirs) for own, theirs in pairs)


def test_logits_and_features_are_those_of_timm(pair):
    model, reference = pair
    shake(reference)
    copy_weights(model, reference)
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(model(images), reference(images), rtol=1e-5, atol=1e-5)
        features = model.features(images)
        expected = reference.forward_intermediates(images, indices=[2, 5], intermediates_only=True)
        last = reference.forward_intermediates(images, indices=[11], norm=True, intermediates_only=True)
    assert [tuple(feature.shape) for feature in features] == [(2, 197, 384)] * 3
    for found, theirs in zip(features, [*expected, *last], strict=True):
        torch.testing.assert_close(model.as_map(found), theirs, rtol=1e-5, atol=1e-5)


def test_stochastic_depth_rises_as_in_timm_and_ends_with_training():
    kind, settings, _ = SMALL["vit"]
    torch.manual_seed(1)
    model = kind(7, **settings, drop_path=0.3)
    rates = [module.drop_prob for module in model.modules() if type(module).__name__ == "DropPath"]
    assert rates == pytest.approx([0.1, 0.1, 0.2, 0.2, 0.3, 0.3])  # none in the first of four blocks
    images = images_for("vit")
    with torch.no_grad():
        assert not torch.equal(model(images), model(images))
        assert torch.equal(model.eval()(images), small_backbone("vit").eval()(images))


@pytest.mark.parametrize(
    ("change", "message", "way_out"),
    [
        ({"image_size": 230}, "patches of 16 px do not tile", "set it to a multiple of backbone.patch_size"),
        ({"heads": 5}, "5 heads of attention cannot share 384", "set it to a divisor of 384"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change, message, way_out):
    with pytest.raises(DmixError, match=message) as caught:
        ViT(10, **{**DEIT_SMALL, **change})
    assert caught.value.way_out == way_out
