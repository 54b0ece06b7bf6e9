from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from dmix.methods.addons.pseudo import pseudo_labels
from dmix.methods.semi.targets import align, certain, follow, guess, probabilities, sharpen

GOLDENS = json.loads(Path(__file__).with_name("semi_goldens.json").read_text())


def wide(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(found: torch.Tensor, expected) -> None:
    torch.testing.assert_close(found, wide(expected), rtol=0, atol=1e-10)


def logits(n: int = 50, classes: int = 7) -> torch.Tensor:
    return 3 * torch.randn(n, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("method", ["fixmatch", "pseudo_label"])
def test_pseudo_classes_are_the_goldens(method):
    golden = GOLDENS[method]
    found = pseudo_labels(wide(golden["logits"]))
    assert found.classes.tolist() == golden["pseudo"]
    close(found.confidence, golden["confidence"])


def test_no_gradient_enters_and_narrow_types_are_widened():
    z = logits().requires_grad_()
    found = pseudo_labels(z)
    assert not found.confidence.requires_grad
    assert not guess([z, z]).requires_grad
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        assert probabilities(z.to(dtype)).dtype == torch.float32
        torch.testing.assert_close(probabilities(z.to(dtype)), z.to(dtype).float().softmax(1))


def test_guess_and_sharpening_are_mixmatchs_goldens():
    golden = GOLDENS["mixmatch"]
    mean = guess([wide(golden["logits_view1"]), wide(golden["logits_view2"])])
    close(mean, golden["mean_prob"])
    close(sharpen(mean, golden["T"]), golden["sharpened"])


def test_labels_are_distributions_too():
    labels = torch.tensor([2, 0, 2])
    for like in (torch.zeros(5, 4), torch.zeros(1, 4, dtype=torch.float64)):
        found = certain(labels, like)
        assert found.dtype == like.dtype
        assert torch.equal(found, torch.nn.functional.one_hot(labels, 4).to(like.dtype))


def test_sharpening_is_udas_target():
    golden = GOLDENS["uda"]
    z = wide(GOLDENS["fixmatch"]["logits"])
    found = sharpen(probabilities(z), golden["temperature"])
    close(found, golden["targets"])
    torch.testing.assert_close(found, (z / golden["temperature"]).softmax(1), rtol=0, atol=1e-12)


def test_sharpening_is_nothing_at_1_and_one_hot_near_0():
    p = probabilities(logits())
    torch.testing.assert_close(sharpen(p, 1.0), p)
    hard = torch.nn.functional.one_hot(p.argmax(1), p.shape[1]).double()
    torch.testing.assert_close(sharpen(p, 1e-6), hard)
    torch.testing.assert_close(sharpen(p.float(), 1e-6), hard.float())


def test_alignment_is_remixmatchs_goldens():
    golden = GOLDENS["remixmatch"]
    p, wanted = probabilities(wide(golden["logits_weak"])), wide(golden["p_target"])
    mean = follow(wide(golden["p_model_before"]), p, 0.999)
    close(mean, golden["p_model_after"])
    close(align(p, wanted, mean), golden["aligned"])
    close(sharpen(align(p, wanted, mean), golden["T"]), golden["sharpened"])
    first = follow(None, p, 0.999)
    close(first, golden["first_step"]["p_model"])
    close(align(p, wanted, first), golden["first_step"]["aligned"])


def test_alignment_is_nothing_where_predictions_are_as_wanted_and_finite_where_a_class_is_never_predicted():
    p = probabilities(logits())
    torch.testing.assert_close(align(p, p.mean(0), p.mean(0)), p)
    p[:, 2] = 0
    found = align(p, torch.full((7,), 1 / 7, dtype=torch.float64), p.mean(0))
    assert found.isfinite().all()
    torch.testing.assert_close(found.sum(1), torch.ones(50, dtype=torch.float64))
