from __future__ import annotations

import torch

from dmix import vision


def test_torchvision_is_imported_beside_any_torch():
    found = vision.torchvision()
    assert found.__name__ == "torchvision"
    assert found is vision.torchvision()
    image = torch.arange(12.0).view(1, 3, 4)
    assert torch.equal(found.transforms.functional.hflip(image), image.flip(-1))


def test_timm_is_imported_through_the_same_door():
    timm = vision.timm()
    assert timm.is_model("deit_small_patch16_224")
    assert timm.layers.Mlp(4, 8)(torch.zeros(1, 4)).shape == (1, 4)
