"""An add-on mixes by the policy it is given, whichever that is, and by its rule of shares."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dmix.engine.method import Step
from dmix.engine.seeding import device_generator, host_generator
from dmix.methods.addons.pseudo import PseudoLabels
from dmix.policies.cutmix import CutMix
from dmix.policies.fmix import FMix
from dmix.policies.mixup import Mixup
from dmix.policies.policy import Context, Draws
from dmix.policies.resizemix import ResizeMix
from dmix.policies.saliencymix import SaliencyMix
from small_transfer import PAIRS, make_addon

CPU = torch.device("cpu")
POLICIES = {
    "mixup": lambda: Mixup(alpha=1.0),
    "cutmix": lambda: CutMix(alpha=1.0),
    "fmix": lambda: FMix(alpha=1.0, decay=3.0),
    "resizemix": lambda: ResizeMix(alpha=1.0, placement="clipped"),
    "resizemix inside": lambda: ResizeMix(alpha=1.0, placement="inside"),
    "saliencymix": lambda: SaliencyMix(alpha=1.0, saliency_input="uint8", per_image=True),
}
CONTEXT = Context(None, None, 0, 1, lambda images: images)


def draws(seed):
    return Draws(host_generator(seed, "mix"), device_generator(CPU, seed, "mix"))


def streams(labelled=6, unlabelled=9, size=16):
    """Labelled images of ones, and unlabelled ones of zeros: the mean of a blend is the labelled share."""
    return torch.ones(labelled, 3, size, size), torch.arange(labelled), torch.zeros(unlabelled, 3, size, size)


@pytest.mark.parametrize("rule", ["free", "at_most_half", "at_least_half"])
@pytest.mark.parametrize("name", POLICIES)
def test_the_true_share_of_the_labelled_image_keeps_the_rule(name, rule):
    addon = make_addon("+dm", POLICIES[name](), **{**PAIRS, "rule": rule})
    seen = []
    for seed in range(80):
        mixed = addon.mix(*streams(), draws(seed), CONTEXT)
        of_labelled = mixed.images[1].mean((1, 2, 3))
        torch.testing.assert_close(of_labelled, mixed.share, rtol=0, atol=1 / 256 if name == "fmix" else 1e-6)
        seen += mixed.share.tolist()
    assert len(set(seen)) > 5
    assert 0 <= min(seen) <= max(seen) <= 1
    if rule == "at_most_half":
        assert max(seen) <= 0.5
    elif rule == "at_least_half":
        assert min(seen) >= 0.5
    else:
        assert min(seen) < 0.4
        assert max(seen) > 0.6


@pytest.mark.parametrize("name", POLICIES)
def test_both_batches_are_the_policys(name):
    """The first batch is what `mix` makes; the second what `blend` makes of the next draws."""
    rng = np.random.default_rng(0)
    images, others = (torch.from_numpy(rng.normal(size=(n, 3, 16, 16))).float() for n in (6, 4))
    before = images.clone(), others.clone()
    labels = torch.arange(6)
    found = make_addon("+dm", POLICIES[name](), **PAIRS).mix(images, labels, others, draws(3), CONTEXT)
    policy, own = POLICIES[name](), draws(3)
    mixed = policy.mix(images, labels, own, CONTEXT)
    share = policy.draw_shares(6, own)
    share = np.minimum(share, 1 - share)[:4]
    blend = policy.blend(images[:4], others, share, own, CONTEXT)
    for ours, theirs in zip(
        (*found.images, found.y, found.partner, found.lam, found.share),
        (mixed.images, blend.images, mixed.y_a, mixed.y_b, mixed.lam, blend.lam),
        strict=True,
    ):
        assert torch.equal(ours, theirs)
    assert torch.equal(images, before[0])
    assert torch.equal(others, before[1])


@pytest.mark.parametrize("name", POLICIES)
def test_a_blend_is_its_mask_and_its_true_share(name):
    """`mix` is a draw of shares and a blend, row by row; masks say which pixels are whose."""
    own, partner = torch.full((5, 3, 16, 16), 2.0), torch.full((5, 3, 16, 16), -1.0)
    lam = np.float32([0.3] * 5)
    blend = POLICIES[name]().blend(own, partner, lam, draws(1), CONTEXT)
    mask = blend.mask.float()
    torch.testing.assert_close(blend.images, (3 * mask - 1).expand_as(own), rtol=0, atol=1e-6)
    torch.testing.assert_close(mask.mean((1, 2, 3)), blend.lam, rtol=0, atol=1 / 256)
    assert blend.lam.dtype == torch.float32
    assert float(blend.lam.max()) <= 0.5


def test_shares_of_single_rows_choose_which_image_is_pasted():
    """CutMix pastes the image of the smaller share, row by row: its box is never clipped above a half."""
    own, partner = torch.ones(64, 3, 16, 16), torch.zeros(64, 3, 16, 16)
    lam = np.random.default_rng(0).uniform(size=64).astype(np.float32)
    blend = CutMix(alpha=1.0).blend(own, partner, lam, draws(0), CONTEXT)
    small = torch.from_numpy(lam <= 0.5)
    assert bool((blend.lam[small] <= 0.5).all())
    assert bool((blend.lam[~small] >= 0.5).all())
    # a box lies around a pixel, and may be clipped: what is pasted is at most what is wanted
    pasted = torch.where(small, blend.lam, 1 - blend.lam)
    wanted = torch.from_numpy(np.minimum(lam, 1 - lam))
    assert bool((pasted <= wanted + 1e-6).all())


@pytest.mark.parametrize("add_on", ["+mixup", "+dm"])
def test_losses_are_the_objectives(add_on):
    """Labelled pairs have the objective itself; with both sides the others have it too."""
    torch.manual_seed(0)
    images, y, others = streams()
    logits = torch.randn(6, 7), torch.randn(6, 7)
    pseudo = PseudoLabels(torch.arange(9) % 7, torch.ones(9))
    addon = make_addon(add_on, **{**PAIRS, "sides": "both", "ramp": "none"})
    mixed = addon.mix(images, y, others, draws(0), CONTEXT)
    seen = []

    def noted(*rows):
        seen.append(rows)
        return addon.class_terms(*rows).mixed[:, 0] * 0 + 1.5

    addon.objective = noted
    found = addon.losses(logits, mixed, pseudo, Step(0, 1, draws(0)))
    assert {name: loss.item() for name, loss in found.items()} == {"mixed_ll": 1.5, "mixed_lu": 1.5}
    assert [rows[0] is given for rows, given in zip(seen, logits, strict=True)] == [True, True]
    assert torch.equal(seen[1][2], pseudo.classes[:6])
    assert torch.equal(seen[1][3], mixed.share)
