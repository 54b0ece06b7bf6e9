from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from dmix.losses.decoupled import decoupled_ce, log_phi
from dmix.losses.dm_ce import dm_ce
from dmix.losses.mce import mce

CASES = json.loads(Path(__file__).with_name("goldens.json").read_text())["loss_cases"]
CLOSE = {torch.float64: {"rtol": 0, "atol": 1e-10}, torch.float32: {"rtol": 1e-5, "atol": 1e-6}}


@pytest.fixture(params=CASES, ids=lambda case: case["id"])
def case(request):
    return request.param


@pytest.fixture(params=CLOSE, ids=str)
def dtype(request):
    return request.param


def arguments(case, dtype):
    given = case["inputs"]
    logits = torch.tensor(given["logits"], dtype=dtype, requires_grad=True)
    lam = torch.tensor(given["lam"], dtype=dtype)
    return logits, torch.tensor(given["y_a"]), torch.tensor(given["y_b"]), lam


def objectives(case):
    eta = case["inputs"]["eta"]
    return {"mce": mce, "dm": decoupled_ce, "total": lambda *rows: dm_ce(*rows, eta=eta)}


def labelled(name):
    return lambda message: f"{name}: {message}"


def test_rows_are_the_golden_values(case, dtype):
    expected, rows = case["expected"], arguments(case, dtype)
    logits, y_a, y_b, _ = rows
    found = {
        "mce_rows": mce(*rows),
        "dm_rows": decoupled_ce(*rows),
        "log_phi_ab_rows": log_phi(logits, y_a, y_b),
        "log_phi_ba_rows": log_phi(logits, y_b, y_a),
    }
    for name in found.keys() & expected.keys():
        defined = [i for i, value in enumerate(expected[name]) if value is not None]
        values = torch.tensor([expected[name][i] for i in defined], dtype=dtype)
        torch.testing.assert_close(found[name][defined], values, **CLOSE[dtype], msg=labelled(name))


def test_means_and_their_gradients_are_the_golden_values(case, dtype):
    for name, objective in objectives(case).items():
        if name not in case["expected"]:
            continue
        rows = arguments(case, dtype)
        mean = objective(*rows).mean()
        torch.testing.assert_close(
            mean, torch.tensor(case["expected"][name], dtype=dtype), **CLOSE[dtype], msg=labelled(name)
        )
        if f"grad_{name}" in case["expected"]:
            (grad,) = torch.autograd.grad(mean, rows[0])
            values = torch.tensor(case["expected"][f"grad_{name}"], dtype=dtype)
            torch.testing.assert_close(grad, values, **CLOSE[dtype], msg=labelled(f"grad_{name}"))


def test_the_rule_on_tiny_lam_alone_drops_the_golden_term():
    (case,) = [case for case in CASES if "dm_without_rule" in case["expected"]]
    logits, y_a, y_b, lam = arguments(case, torch.float64)
    value = case["expected"]["dm_without_rule"]
    kept = (-log_phi(logits, y_a, y_b) - log_phi(logits, y_b, y_a)).item()
    assert kept == pytest.approx(value, abs=1e-10)
    assert decoupled_ce(logits, y_a, y_b, torch.full_like(lam, 0.5)).item() == pytest.approx(value, abs=1e-10)
