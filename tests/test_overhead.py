from __future__ import annotations

import importlib
import random

import pytest

from project import ROOT


@pytest.fixture
def overhead(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("overhead")


def test_a_union_is_that_of_a_count_of_points(overhead):
    drawn = random.Random(0)
    for _ in range(200):
        intervals = []
        for _ in range(drawn.randrange(8)):
            low = drawn.randrange(-5, 30)
            intervals.append((low, low + drawn.randrange(12)))
        start, end = 0, drawn.randrange(1, 30)
        naive = sum(any(low <= point < high for low, high in intervals) for point in range(start, end))
        assert overhead.union(intervals, start, end) == naive


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("aten::mm", True),
        ("torchvision::nms", True),
        ("autograd::engine::evaluate_function: ConvolutionBackward0", False),
        ("ConvolutionBackward0", False),
        ("Optimizer.step#SGD.step", False),
        ("dmix step", False),
    ],
)
def test_marks_around_operations_are_none(name, expected, overhead):
    assert overhead.is_operation(name) == expected


class Work:
    """A step of which Python sleeps for about nine tenths."""

    def __init__(self, torch, time):
        self.left, self.right, self.torch, self.time = torch.ones(400, 400), torch.ones(400, 400), torch, time

    def train_step(self):
        start = self.time.perf_counter()
        self.torch.mm(self.left, self.right)
        self.time.sleep(9 * (self.time.perf_counter() - start))


def test_time_without_operations_is_found(overhead):
    import time

    import torch

    one = Work(torch, time)
    one.train_step()
    assert 0.8 < overhead.idle_share(one) < 1
    assert any("test_overhead.py" in line and "train_step" in line for line in overhead.functions(one, 2))
