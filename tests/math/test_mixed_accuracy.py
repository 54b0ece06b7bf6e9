from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from dmix.engine.mixed_accuracy import mixed_hits

GOLDEN = json.loads(Path(__file__).with_name("goldens.json").read_text())["mixed_accuracy"]


def naive_hits(logits, y_a, y_b):
    top1 = top2 = pairs = 0
    for row, a, b in zip(logits.tolist(), y_a.tolist(), y_b.tolist(), strict=True):
        if a == b:
            continue
        first, second = sorted(range(len(row)), key=lambda c: (-row[c], c))[:2]
        pairs += 1
        top1 += first in (a, b)
        top2 += {first, second} == {a, b}
    return top1, top2, pairs


def counts(logits, y_a, y_b):
    return tuple(int(count) for count in mixed_hits(logits, y_a, y_b))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_accuracy_is_golden(dtype):
    logits = torch.tensor(GOLDEN["logits"], dtype=dtype)
    hits = mixed_hits(logits, torch.tensor(GOLDEN["y_a"]), torch.tensor(GOLDEN["y_b"]))
    assert int(hits.pairs) == GOLDEN["pairs_counted"]
    assert 100 * float(hits.top1) / float(hits.pairs) == GOLDEN["top1_percent"]
    assert 100 * float(hits.top2) / float(hits.pairs) == GOLDEN["top2_percent"]
    assert all(count.dtype == torch.int64 and count.shape == () for count in hits)


@pytest.mark.parametrize("classes", [2, 3, 5, 40])
@pytest.mark.parametrize("levels", [1, 2, 4, 1000])
def test_counts_are_those_of_a_loop_over_rows_with_ties(classes, levels):
    generator = torch.Generator().manual_seed(classes * levels)
    logits = torch.randint(levels, (300, classes), generator=generator).float()
    y_a, y_b = torch.randint(classes, (2, 300), generator=generator)
    assert counts(logits, y_a, y_b) == naive_hits(logits, y_a, y_b)
    assert counts(logits, y_b, y_a) == counts(logits, y_a, y_b)


def test_of_equal_logits_the_lower_class_ranks_first():
    logits = torch.zeros(3, 1000)
    y_a, y_b = torch.tensor([1, 1, 998]), torch.tensor([0, 2, 999])
    assert counts(logits, y_a, y_b) == (1, 1, 3)
    assert counts(logits, torch.tensor([0, 7, 9]), torch.tensor([2, 0, 8])) == (2, 0, 3)


def test_batches_without_a_mix_count_nothing():
    labels = torch.tensor([2, 0])
    assert counts(torch.eye(3)[:2], labels, labels) == (0, 0, 0)
