"""Which float32 arithmetic a recipe allows its GPU."""

from __future__ import annotations

import pytest
import torch

from small_runs import make_trainer, recipe


@pytest.fixture(autouse=True)
def as_before():
    kept = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = kept


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_only_tf32_lets_a_gpu_round_factors(precision, allowed):
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = not allowed
    make_trainer(recipe(precision=precision))
    assert torch.backends.cudnn.allow_tf32 is allowed
    assert torch.backends.cuda.matmul.allow_tf32 is allowed


def test_on_a_cpu_tf32_is_fp32():
    traces = []
    for precision in ("fp32", "tf32"):
        trainer = make_trainer(recipe(precision=precision))
        trainer.run(lambda _: True)
        traces.append(trainer.history)
    assert traces[0] == traces[1]
