from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from dmix.objectives.decoupled import asymmetric_decoupled_ce, decoupled_ce, decoupled_ce_of_set, log_phi
from dmix.objectives.dm_bce import dm_bce, rescale
from dmix.objectives.dm_ce import dm_ce
from dmix.objectives.dm_ce_released import dm_ce_released
from dmix.objectives.mbce_one import mbce_one
from dmix.objectives.mbce_two import mbce_two
from dmix.objectives.mce import mce

GOLDENS = json.loads(Path(__file__).with_name("goldens.json").read_text())
CASES = GOLDENS["loss_cases"]
CLOSE = {torch.float64: {"rtol": 0, "atol": 1e-10}, torch.float32: {"rtol": 1e-5, "atol": 1e-6}}
BINARY = {
    "mbce_one": mbce_one,
    "mbce_two": mbce_two,
    "dm_bce_t1_xi0.8": partial(dm_bce, t=1.0, xi=0.8),
    "dm_bce_t0.5_xi1": partial(dm_bce, t=0.5, xi=1.0),
    "dm_bce_t0_xi0": partial(dm_bce, t=0.0, xi=0.0),
}


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
    return {"mce": mce, "dm": decoupled_ce, "total": partial(dm_ce, eta=eta)}


def is_golden(found, value, dtype, name):
    expected = torch.tensor(value, dtype=dtype)
    torch.testing.assert_close(found, expected, **CLOSE[dtype], msg=lambda message: f"{name}: {message}")


def test_rows_are_the_golden_values(case, dtype):
    expected, rows = case["expected"], arguments(case, dtype)
    log_phi_ab, log_phi_ba = log_phi(*rows[:3]).unbind(1)
    found = {
        "mce_rows": mce(*rows),
        "dm_rows": decoupled_ce(*rows),
        "log_phi_ab_rows": log_phi_ab,
        "log_phi_ba_rows": log_phi_ba,
    }
    for name in found.keys() & expected.keys():
        defined = [i for i, value in enumerate(expected[name]) if value is not None]
        is_golden(found[name][defined], [expected[name][i] for i in defined], dtype, name)


def test_means_and_their_gradients_are_the_golden_values(case, dtype):
    for name, objective in objectives(case).items():
        if name not in case["expected"]:
            continue
        rows = arguments(case, dtype)
        mean = objective(*rows).mean()
        is_golden(mean, case["expected"][name], dtype, name)
        if f"grad_{name}" in case["expected"]:
            (grad,) = torch.autograd.grad(mean, rows[0])
            is_golden(grad, case["expected"][f"grad_{name}"], dtype, f"grad_{name}")


def test_the_rule_on_tiny_lam_alone_drops_the_golden_term():
    (case,) = [case for case in CASES if "dm_without_rule" in case["expected"]]
    logits, y_a, y_b, lam = arguments(case, torch.float64)
    value = case["expected"]["dm_without_rule"]
    assert -log_phi(logits, y_a, y_b).sum().item() == pytest.approx(value, abs=1e-10)
    assert decoupled_ce(logits, y_a, y_b, torch.full_like(lam, 0.5)).item() == pytest.approx(value, abs=1e-10)


def test_asymmetric_objective_is_golden(dtype):
    case = GOLDENS["asymmetric"]
    expected, rows = case["expected"], arguments(case, dtype)
    total = (mce(*rows) + case["inputs"]["eta"] * asymmetric_decoupled_ce(*rows)).mean()
    (grad,) = torch.autograd.grad(total, rows[0])
    found = {
        "mce_rows": mce(*rows),
        "as_rows": asymmetric_decoupled_ce(*rows),
        "mce": mce(*rows).mean(),
        "as": asymmetric_decoupled_ce(*rows).mean(),
        "total": total,
        "grad_total": grad,
    }
    assert found.keys() == expected.keys()
    for name, value in found.items():
        is_golden(value, expected[name], dtype, name)


@pytest.mark.parametrize(
    "variant", GOLDENS["released"]["expected"], ids=lambda v: f"{v['mode']}-{v['power']}"
)
def test_released_variants_are_golden(variant, dtype):
    case = GOLDENS["released"]
    settings = {"eta": case["inputs"]["eta"], "mode": variant["mode"], "power": variant["power"]}
    is_golden(dm_ce_released(*arguments(case, dtype), **settings).mean(), variant["total"], dtype, "total")


def test_mix_of_three_classes_is_golden(dtype):
    given, expected = GOLDENS["three_way"]["inputs"], GOLDENS["three_way"]["expected"]
    logits = torch.tensor(given["logits"], dtype=dtype)
    mixed = torch.zeros(logits.shape, dtype=torch.bool)
    mixed[0, given["classes"]] = True
    term = decoupled_ce_of_set(logits, mixed).mean()
    is_golden(term, expected["dm"], dtype, "dm")
    is_golden(term * given["eta"] + expected["mce"], expected["total"], dtype, "total")


@pytest.mark.parametrize("name", BINARY)
def test_binary_objectives_are_golden(name, dtype):
    case, objective = GOLDENS["binary"], BINARY[name]
    expected = case["expected"][name]
    rows = arguments(case, dtype)
    summed = objective(*rows, reduction="sum_classes")
    (grad,) = torch.autograd.grad(summed.mean(), rows[0])
    found = {
        "targets": rows[0].detach().sigmoid() - len(grad) * grad,
        "rows_sum_over_classes": summed,
        "sum_classes_mean_batch": summed.mean(),
        "mean_all": objective(*rows, reduction="mean_all").mean(),
        "grad_sum_classes_mean_batch": grad,
    }
    assert found.keys() == expected.keys()
    for key, value in found.items():
        is_golden(value, expected[key], dtype, key)


@pytest.mark.parametrize("row", GOLDENS["rescale_table"], ids=lambda row: f"t{row['t']}-xi{row['xi']}")
def test_rescaling_is_golden(row, dtype):
    found = rescale(torch.tensor(row["lam"], dtype=dtype), row["t"], row["xi"])
    is_golden(found, row["r"], dtype, "r")
