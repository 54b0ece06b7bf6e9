from __future__ import annotations

import pytest
import torch

from dmix import vision
from dmix.backbones.swin import Swin
from dmix.errors import DmixError
from reference_weights import copy_weights, shake
from small_backbones import SMALL, images_for, small_backbone

SWIN_TINY = {
    "image_size": 224,
    "patch_size": 4,
    "window_size": 7,
    "embed_dim": 96,
    "layers": (2, 2, 6, 2),
    "heads": (3, 6, 12, 24),
}


@pytest.fixture
def pair():
    """Swin-T here and in timm, both drawn from one seed."""
    torch.manual_seed(0)
    model = Swin(1000, **SWIN_TINY)
    torch.manual_seed(0)
    return model.eval(), vision.timm().create_model("swin_tiny_patch4_window7_224", pretrained=False).eval()


def test_weights_are_those_of_timm_from_the_start(pair):
    model, reference = pair
    assert sum(parameter.numel() for parameter in model.parameters()) == 28_288_354
    pairs = zip(model.state_dict().values(), reference.state_dict().values(), strict=True)
    assert all(torch.equal(own, theirs) for own, theirs in pairs)


def test_logits_and_features_are_those_of_timm(pair):
    model, reference = pair
    shake(reference)
    copy_weights(model, reference)
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(model(images), reference(images), rtol=1e-5, atol=1e-5)
        maps = [model.as_map(feature) for feature in model.features(images)]
        expected = reference.forward_intermediates(images, norm=True, intermediates_only=True)
    assert [tuple(found.shape) for found in maps] == [
        (1, 96, 56, 56),
        (1, 192, 28, 28),
        (1, 384, 14, 14),
        (1, 768, 7, 7),
    ]
    for found, theirs in zip(maps, expected, strict=True):
        torch.testing.assert_close(found, theirs, rtol=1e-5, atol=1e-5)


def test_stochastic_depth_rises_as_in_timm_and_ends_with_training():
    kind, settings, _ = SMALL["swin"]
    torch.manual_seed(1)
    model = kind(7, **settings, drop_path=0.3)
    rates = [module.drop_prob for module in model.modules() if type(module).__name__ == "DropPath"]
    assert rates == pytest.approx([0.1, 0.1, 0.2, 0.2, 0.3, 0.3])  # none in the first of four blocks
    images = images_for("swin")
    with torch.no_grad():
        assert not torch.equal(model(images), model(images))
        assert torch.equal(model.eval()(images), small_backbone("swin").eval()(images))


@pytest.mark.parametrize(
    ("change", "message", "way_out"),
    [
        ({"image_size": 225}, "patches of 4 px do not tile", "set it to a multiple of backbone.patch_size"),
        ({"heads": (3, 6, 12)}, "3 numbers of heads for 4 stages", "as many entries as backbone.layers"),
        ({"heads": (3, 6, 12, 5)}, "5 heads of attention cannot share 768", "set it to a divisor of 768"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change, message, way_out):
    with pytest.raises(DmixError, match=message) as caught:
        Swin(10, **{**SWIN_TINY, **change})
    assert way_out in caught.value.way_out
