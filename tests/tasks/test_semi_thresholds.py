from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from dmix.methods.addons.pseudo import PseudoLabels, confident, pseudo_labels
from dmix.methods.semi.thresholds import UNUSED, flexible, recorded

GOLDENS = json.loads(Path(__file__).with_name("semi_goldens.json").read_text())


def wide(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(found: torch.Tensor, expected) -> None:
    torch.testing.assert_close(found, wide(expected), rtol=0, atol=1e-10)


@pytest.mark.parametrize("method", ["fixmatch", "pseudo_label", "uda"])
def test_a_fixed_mask_is_the_goldens(method):
    golden = GOLDENS[method]
    z = GOLDENS["fixmatch" if method == "uda" else method]["logits"]
    mask = confident(pseudo_labels(wide(z)).confidence, golden["tau"])
    close(mask, golden["mask"])
    assert confident(pseudo_labels(wide(z).float()).confidence, golden["tau"]).dtype == torch.float32


def test_no_row_reaches_a_threshold_above_1_and_every_row_one_of_0():
    found = pseudo_labels(torch.randn(30, 4) * 20)
    assert confident(found.confidence, 1.01).sum() == 0
    assert confident(found.confidence, 0.0).sum() == 30


@pytest.mark.parametrize("case", GOLDENS["flexmatch"]["threshold_cases"])
def test_flexible_thresholds_are_the_goldens(case):
    counts = [case["never_selected"], *case["selected_per_class"]]
    last = torch.arange(UNUSED, len(counts) - 1).repeat_interleave(torch.tensor(counts))
    last = last[torch.randperm(len(last))]
    found = flexible(last, len(counts) - 1, 0.95, warm_up=case["warmup"])
    close(found, case["threshold"])
    close(2 * found / (0.95 + found), case["beta"])


def test_a_step_of_flexmatch_is_the_golden():
    golden = GOLDENS["flexmatch"]["step"]
    expected = golden["expected"]
    last, index = torch.tensor(golden["selected"]), torch.tensor(golden["unlabelled_ids"])
    found = pseudo_labels(wide(golden["logits_weak"]))
    limits = flexible(last, 3, golden["tau"], warm_up=golden["warmup"])
    close(limits, expected["threshold"])
    mask = confident(found.confidence, limits[found.classes])
    close(mask, expected["mask"])
    losses = torch.nn.functional.cross_entropy(wide(golden["logits_strong"]), found.classes, reduction="none")
    close((mask * losses).mean(), expected["unsup"])
    assert recorded(last, index, found, golden["tau"]).tolist() == expected["selected_after"]
    assert last.tolist() == golden["selected"]


def test_recording_is_a_loop_over_rows():
    generator = torch.Generator().manual_seed(1)
    for _ in range(50):
        last = torch.randint(-1, 5, (12,), generator=generator)
        index = torch.randint(0, 12, (30,), generator=generator)  # every image several times
        labels = torch.randint(0, 5, (30,), generator=generator)
        confidence = torch.rand(30, generator=generator)
        expected = last.clone()
        for image, label, sure in zip(index, labels, confidence, strict=True):
            if sure >= 0.7:
                expected[image] = label
        assert torch.equal(recorded(last, index, PseudoLabels(labels, confidence), 0.7), expected)


def test_classes_of_equal_use_have_fixmatchs_threshold():
    assert torch.equal(flexible(torch.arange(4).repeat(5), 4, 0.95, warm_up=True), wide([0.95] * 4))
