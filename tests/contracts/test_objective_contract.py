"""What every objective must keep to."""

from __future__ import annotations

import pytest
import torch

from dmix.engine.parts import load_class_terms, load_part
from dmix.grid.parts import read_part
from every_part import cases
from values import allow_meta, kept, same

N, CLASSES = 9, 6


@pytest.fixture(params=cases("objective"))
def settings(request):
    return request.param[0]


@pytest.fixture
def objective(settings):
    return load_part("objective", settings, call=False)


def rows(dtype=torch.float32):
    """Rows of every kind: mixed, of one class, with lam 0, 1 and 1/2; logits of very different sizes."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(N, CLASSES, generator=generator) * torch.logspace(-2, 2, N).unsqueeze(1)
    y_a = torch.randint(CLASSES, (N,), generator=generator)
    y_b = torch.where(torch.arange(N) % 3 == 0, y_a, (y_a + 1 + torch.arange(N) % 5) % CLASSES)
    lam = torch.tensor([0.3, 0.0, 1.0, 1.0, 0.5, 1e-4, 0.7, 0.25, 0.999])
    return [logits.to(dtype), y_a, y_b, lam.to(dtype) if dtype is torch.float64 else lam]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_every_row_has_a_finite_loss(objective, dtype):
    given = rows(dtype)
    before = kept(given)
    found = objective(*given)
    assert same(given, before)
    assert found.shape == (N,)
    assert found.dtype == (torch.float64 if dtype is torch.float64 else torch.float32)
    assert found.isfinite().all()


def test_gradients_are_finite_and_reach_the_logits_alone(objective):
    logits, *others = rows()
    objective(logits.requires_grad_(), *others).sum().backward()
    assert logits.grad.isfinite().all()
    assert (logits.grad != 0).any()


def test_rows_do_not_see_each_other(objective):
    order = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    given = rows(torch.float64)
    whole = objective(*given)
    torch.testing.assert_close(
        objective(*(one[order] for one in given)), whole[order], rtol=1e-14, atol=1e-14
    )
    for row in range(N):
        alone = objective(*(one[row : row + 1] for one in given))
        torch.testing.assert_close(alone, whole[row : row + 1], rtol=1e-14, atol=1e-14)


def test_equal_rows_have_equal_losses(objective):
    assert torch.equal(objective(*rows()), objective(*rows()))


def test_class_terms_add_up_to_it(settings, objective):
    part = read_part("objective", settings["use"])
    if "class_terms" not in part.functions:
        assert part.constants["NO_CLASS_TERMS"]
        pytest.skip(f"no class terms: {part.constants['NO_CLASS_TERMS']}")
    given = rows(torch.float64)
    terms = load_class_terms(settings)(*given)
    total = terms.mixed.sum(1)
    if terms.decoupled is not None:
        total = total + terms.weight * terms.decoupled.sum(1)
    torch.testing.assert_close(total, objective(*given), rtol=1e-12, atol=1e-12)


def test_no_value_is_read_back_from_the_device(objective, monkeypatch):
    allow_meta(monkeypatch)
    logits, *others = (one.to("meta") for one in rows())
    objective(logits.requires_grad_(), *others).sum().backward()
    assert logits.grad.shape == (N, CLASSES)
