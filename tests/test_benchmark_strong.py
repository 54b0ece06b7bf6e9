from __future__ import annotations

import importlib

import pytest
import torch

from project import ROOT


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("strong_augmentation")


def test_ways_are_compared_pixel_by_pixel_before_they_are_timed(benchmark, monkeypatch):
    ways = benchmark.ways(20, [torch.device("cpu")])
    assert list(ways) == [benchmark.PILLOW, "batched, cpu"]
    rates = benchmark.timed(ways, 20, rounds=2, seconds=0)
    assert {name: len(rate) for name, rate in rates.items()} == dict.fromkeys(ways, 2)
    monkeypatch.setattr(benchmark.StrongCrop, "apply", lambda self, images, draws: images)
    with pytest.raises(AssertionError, match="not equal"):
        benchmark.ways(20, [torch.device("cpu")])


def test_a_rate_is_images_over_time(benchmark, monkeypatch):
    class Clock:
        now = 0.0

    def batch():
        Clock.now += 2

    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: Clock.now)
    rates = benchmark.timed({"one": batch}, 10, rounds=3, seconds=5)
    assert rates == {"one": [5.0, 5.0, 5.0]}
