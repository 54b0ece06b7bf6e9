"""The losses of the semi-supervised methods as pure functions, against reference values in float64."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from dmix.engine.seeding import device_generator, host_generator
from dmix.methods.semi.fixmatch import confident_classes
from dmix.methods.semi.flexmatch import flexible_classes
from dmix.methods.semi.mixed_rows import mix_at_random, mix_with_partners
from dmix.methods.semi.mixmatch import decoupled_by_kinds, mixmatch_losses
from dmix.methods.semi.pseudo_label import pseudo_loss
from dmix.methods.semi.quarter_turns import turned
from dmix.methods.semi.ramps import linear, signal_annealing
from dmix.methods.semi.row_losses import annealed_ce, masked_ce, squared_error
from dmix.methods.semi.targets import guess, sharpen
from dmix.methods.semi.uda import sharpened_distributions
from dmix.objectives.decoupled import decoupled_terms
from dmix.policies.policy import Draws

GOLDENS = json.loads(Path(__file__).with_name("semi_goldens.json").read_text())
FIXMATCH, UDA, MIXMATCH = (GOLDENS[name] for name in ("fixmatch", "uda", "mixmatch"))
MIX = ("mix", "tests")


def decoupled(logits, classes, partner, lam):
    """The decoupled terms of rows of which the first 2 are labelled."""
    return decoupled_by_kinds(decoupled_terms(logits, classes, classes[partner], lam), partner, 2)


@pytest.fixture(autouse=True)
def same_numbers():
    torch.manual_seed(0)


def wide(value):
    return torch.tensor(value, dtype=torch.float64)


def close(found, expected):
    torch.testing.assert_close(found.detach(), wide(expected), rtol=0, atol=1e-10)


@pytest.fixture
def labelled():
    return wide(FIXMATCH["logits_labelled"]), torch.tensor(FIXMATCH["y"])


@pytest.fixture
def weak():
    return wide(FIXMATCH["logits"]).requires_grad_()


@pytest.fixture
def strong():
    return wide(FIXMATCH["logits_strong"]).requires_grad_()


def test_fixmatch_is_the_golden(labelled, weak, strong):
    supervised = masked_ce(*labelled)
    close(supervised, FIXMATCH["ce"])
    lesson = confident_classes(weak, FIXMATCH["tau"])
    unsupervised = masked_ce(strong, *lesson)
    close(unsupervised, FIXMATCH["unsup"])
    close(supervised + FIXMATCH["weight"] * unsupervised, FIXMATCH["total"])
    rows = [masked_ce(strong[i : i + 1], lesson.targets[i : i + 1]) for i in range(4)]
    close(torch.stack(rows), FIXMATCH["per_row_ce"])
    unsupervised.backward()
    close(strong.grad, FIXMATCH["grad_strong"])
    assert weak.grad is None


def test_no_row_of_fixmatch_counts_above_1_and_every_row_at_0(weak, strong):
    none = masked_ce(strong, *confident_classes(weak, 1.01))
    none.backward()
    assert none.item() == 0
    assert not strong.grad.any()
    close(masked_ce(strong, *confident_classes(weak, 0.0)), np.mean(FIXMATCH["per_row_ce"]))


def test_uda_is_the_golden(labelled, weak, strong):
    lesson = sharpened_distributions(weak, UDA["tau"], UDA["temperature"])
    close(lesson.targets, UDA["targets"])
    close(lesson.mask, UDA["mask"])
    unsupervised = masked_ce(strong, *lesson)
    close(unsupervised, UDA["unsup"])
    close(masked_ce(*labelled) + unsupervised, UDA["total"])
    rows = [masked_ce(strong[i : i + 1], lesson.targets[i : i + 1]) for i in range(4)]
    close(torch.stack(rows), UDA["per_row_ce"])
    unsupervised.backward()
    assert weak.grad is None


def test_uda_without_temperature_is_fixmatch(weak, strong):
    cold = masked_ce(strong, *sharpened_distributions(weak, UDA["tau"], 1e-6))
    close(cold, masked_ce(strong, *confident_classes(weak, UDA["tau"])).item())


def test_annealing_leaves_out_labelled_rows_that_are_too_sure(labelled):
    logits, y = labelled
    assert torch.equal(annealed_ce(logits, y, 1.0), masked_ce(logits, y))
    rows = functional.cross_entropy(logits, y, reduction="none")
    sure = logits.softmax(1).amax(1)
    close(annealed_ce(logits, y, sure.mean().item()), (rows[sure <= sure.mean()].sum() / 2).item())
    assert annealed_ce(logits, y, signal_annealing("linear", 0.0, 3)).item() == 0
    z = logits.clone().requires_grad_()
    annealed_ce(z, y, sure.mean().item()).backward()
    assert z.grad.any(1).tolist() == (sure <= sure.mean()).tolist()


def test_pseudo_label_is_the_golden():
    golden = GOLDENS["pseudo_label"]
    logits = wide(golden["logits"]).requires_grad_()
    loss = pseudo_loss(logits, golden["tau"])
    close(loss, golden["unsup"])
    loss.backward()
    close(logits.grad, golden["grad"])


def test_flexmatch_is_the_golden():
    golden = GOLDENS["flexmatch"]["step"]
    last = torch.tensor(golden["selected"])
    weak, index = wide(golden["logits_weak"]), torch.tensor(golden["unlabelled_ids"])
    lesson, after = flexible_classes(weak, index, last, threshold=golden["tau"], warm_up=golden["warmup"])
    close(lesson.mask, golden["expected"]["mask"])
    close(masked_ce(wide(golden["logits_strong"]), *lesson), golden["expected"]["unsup"])
    assert after.tolist() == golden["expected"]["selected_after"]
    assert last.tolist() == golden["selected"]


def test_flexmatch_starts_with_every_row_and_is_fixmatch_where_classes_are_equal():
    weak, index = torch.randn(12, 4, dtype=torch.float64), torch.arange(12)
    at_first, _ = flexible_classes(weak, index, torch.full((12,), -1), threshold=0.95, warm_up=True)
    assert at_first.mask.tolist() == [1.0] * 12
    equal = torch.arange(12) % 4
    lesson, _ = flexible_classes(weak, index, equal, threshold=0.6, warm_up=True)
    fixed = confident_classes(weak, 0.6)
    assert torch.equal(lesson.mask, fixed.mask)
    assert 0 < lesson.mask.sum() < 12
    assert torch.equal(lesson.targets, fixed.targets)


def test_what_flexmatch_remembers_has_the_fixed_threshold():
    weak = wide([[2.0, 0.0, 0.0], [6.0, 0.0, 0.0]])  # of confidence .79 and .995
    lesson, last = flexible_classes(
        weak, torch.tensor([2, 0]), torch.full((3,), -1), threshold=0.95, warm_up=True
    )
    assert lesson.mask.tolist() == [1.0, 1.0]
    assert last.tolist() == [0, -1, -1]


@pytest.fixture
def mixed():
    """MixMatch's golden: the targets of six rows, mixed."""
    p = guess([wide(MIXMATCH["logits_view1"]), wide(MIXMATCH["logits_view2"])])
    q = sharpen(p, MIXMATCH["T"])
    targets = torch.cat([functional.one_hot(torch.tensor(MIXMATCH["y"]), 3).double(), q, q])
    lam = torch.full((6,), MIXMATCH["lam"], dtype=torch.float64)
    return mix_with_partners(wide(MIXMATCH["x"]), targets, torch.tensor(MIXMATCH["perm"]), lam)


def test_mixmatch_is_the_golden(mixed):
    close(mixed.images, MIXMATCH["mixed_x"])
    close(mixed.targets, MIXMATCH["mixed_y"])
    close(mixed.targets.sum(1), [1.0] * 6)
    ce, squared = mixmatch_losses(wide(MIXMATCH["logits_mixed"]), mixed.targets, 2)
    close(ce, MIXMATCH["loss_x"])
    close(squared, MIXMATCH["loss_u"])
    ramp = linear(MIXMATCH["step"], 0.4 * 2**20)
    close(ce + MIXMATCH["weight"] * ramp * squared, MIXMATCH["total"])


def test_mixmatch_with_decoupled_terms_is_the_golden(mixed):
    golden = MIXMATCH["dm_variant_M1"]
    logits = wide(MIXMATCH["logits_mixed"])
    classes = torch.tensor(golden["hard_labels"])
    found = decoupled(logits, classes, mixed.partner, mixed.lam)
    close(found[0], golden["mean_x"])
    close(found[1], golden["mean_u"])
    ce, squared = mixmatch_losses(logits, mixed.targets, 2)
    ramp = linear(MIXMATCH["step"], 0.4 * 2**20)
    terms = MIXMATCH["eta"] * (found[0] + ramp * found[1])
    close(ce + MIXMATCH["weight"] * ramp * squared + terms, golden["total"])


def test_rows_without_a_labelled_partner_have_no_decoupled_term():
    logits = torch.randn(6, 5, requires_grad=True)
    lam = torch.full((6,), 0.7)
    partner = torch.tensor([2, 3, 4, 5, 0, 1])
    of_both = decoupled(logits, torch.arange(6) % 5, partner, lam)
    assert of_both[0].item() == 0
    assert of_both[1].item() > 0
    of_both[1].backward()
    assert logits.grad.any(1).tolist() == [False] * 4 + [True] * 2
    # the pseudo-class is deleted, and only the partner's label is pulled up
    assert logits.grad[4, 4].item() == 0
    assert logits.grad[4, 0].item() < 0
    apart = decoupled(logits, torch.arange(6) % 5, torch.tensor([2, 3, 4, 5, 3, 2]), lam)
    assert [term.item() for term in apart] == [0, 0]


def test_the_squared_error_is_at_most_2_over_classes():
    logits = 1e5 * torch.randn(40, 7)
    wrong = functional.one_hot(logits.argmin(1), 7).float()
    assert squared_error(logits, wrong).item() == pytest.approx(2 / 7, rel=1e-5)
    for _ in range(5):
        assert squared_error(logits, torch.rand(40, 7).softmax(1)).item() <= 2 / 7


def draws():
    return Draws(host_generator(0, *MIX), device_generator(torch.device("cpu"), 0, *MIX))


def test_rows_keep_at_least_half_of_themselves_and_all_by_a_lam_of_1():
    images, targets = torch.randn(9, 3, 2, 2), torch.rand(9, 4).softmax(1)
    one = draws()
    shares = []
    for _ in range(100):
        found = mix_at_random(images, targets, 0.5, one)
        assert len(set(found.lam.tolist())) == 1
        assert sorted(found.partner.tolist()) == list(range(9))
        share = found.lam.view(-1, 1, 1, 1)
        torch.testing.assert_close(found.images, share * images + (1 - share) * images[found.partner])
        torch.testing.assert_close(found.targets.sum(1), torch.ones(9))
        shares.append(found.lam[0].item())
    assert min(shares) >= 0.5
    assert max(shares) > 0.99
    assert np.mean(shares) == pytest.approx(1 - 0.1817, abs=0.03)  # E min(l, 1 - l) of Beta(1/2, 1/2)
    same = mix_with_partners(images, targets, torch.arange(9).flip(0), torch.ones(9))
    assert torch.equal(same.images, images)
    assert torch.equal(same.targets, targets)


def test_every_image_is_turned_by_its_own_quarters():
    images, turns = torch.randn(8, 3, 4, 4), torch.tensor([0, 1, 2, 3, 3, 2, 1, 0])
    expected = [np.rot90(image, turn, (1, 2)) for image, turn in zip(images.numpy(), turns, strict=True)]
    assert np.array_equal(turned(images, turns).numpy(), np.stack(expected))
    assert torch.equal(turned(turned(images, turns), (4 - turns) % 4), images)
    with pytest.raises(RuntimeError):
        turned(torch.randn(2, 3, 4, 5), torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_of_narrow_logits_are_float32(dtype):
    logits, classes = torch.randn(6, 5).to(dtype), torch.arange(6) % 5
    targets = torch.rand(6, 5).softmax(1)
    lam, partner = torch.full((6,), 0.7), torch.tensor([1, 0, 0, 1, 2, 3])

    def every(z):
        return [
            masked_ce(z, classes, torch.ones(6)),
            masked_ce(z, targets),
            annealed_ce(z, classes, 0.5),
            squared_error(z, targets),
            pseudo_loss(z, 0.3),
            *mixmatch_losses(z, targets, 2),
            *decoupled(z, classes, partner, lam),
        ]

    for narrow, single in zip(every(logits), every(logits.float()), strict=True):
        assert narrow.dtype == torch.float32
        assert torch.equal(narrow, single)
