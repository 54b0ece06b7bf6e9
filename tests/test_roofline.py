from __future__ import annotations

import importlib

import pytest
import torch

from project import ROOT

FLOAT = 4  # bytes


@pytest.fixture
def roofline(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("roofline")


def counted(roofline, action):
    """The operations and the numbers (of 4 bytes) that an action reads and writes."""
    with roofline.Counter() as counter:
        action()
    flop, moved = (sum(getattr(work, part) for work in counter.works) for part in ("flop", "bytes"))
    return flop, moved / FLOAT


def test_a_linear_layer(roofline):
    n, inputs, outputs = 3, 5, 7
    layer, given, gradient = torch.nn.Linear(inputs, outputs), torch.ones(n, inputs), torch.ones(n, outputs)
    product, x, w, b, y = 2 * n * inputs * outputs, n * inputs, inputs * outputs, outputs, n * outputs
    assert counted(roofline, lambda: layer(given)) == (product, x + w + b + y)
    out = layer(given)
    found = counted(roofline, lambda: torch.autograd.grad(out, list(layer.parameters()), gradient))
    assert found == (product, (y + x + w) + (y + b))  # a product for the weight, a sum for the bias


@pytest.mark.parametrize("of_input", [False, True])
def test_a_convolution(roofline, of_input):
    n, inputs, outputs, side = 2, 3, 4, 8
    layer = torch.nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    given = torch.ones(n, inputs, side, side, requires_grad=of_input)
    x, w, y = given.numel(), layer.weight.numel(), n * outputs * side**2
    product = 2 * w * n * side**2
    assert counted(roofline, lambda: layer(given)) == (product, x + w + y)
    out, wanted = layer(given), [layer.weight, *([given] if of_input else [])]
    gradient = torch.ones(out.shape)
    found = counted(roofline, lambda: torch.autograd.grad(out, wanted, gradient))
    assert found == (product * len(wanted), (y + x + w) + w + x * of_input)


def test_attention_on_a_cpu_is_counted(roofline):
    n, heads, tokens, width = 2, 3, 16, 8
    parts = [torch.randn(n, heads, tokens, width, requires_grad=True) for _ in range(3)]
    attend = torch.nn.functional.scaled_dot_product_attention
    product = 2 * n * heads * tokens**2 * width
    assert counted(roofline, lambda: attend(*parts))[0] == 2 * product
    out = attend(*parts)
    # the scores again, and for each of both products two
    assert counted(roofline, lambda: out.sum().backward())[0] == 5 * product


@pytest.mark.parametrize(
    ("action", "numbers"),
    [
        (lambda a, b: a.view(-1), 0),
        (lambda a, b: a.t().detach()[1:], 0),
        (lambda a, b: torch.empty_like(a), 0),
        (lambda a, b: a + b, 3),
        (lambda a, b: a.add_(b), 3),
        (lambda a, b: a.copy_(b), 2),
        (lambda a, b: a.zero_(), 1),
        (lambda a, b: torch._foreach_add_([a], [b]), 3),
        (lambda a, b: torch._foreach_mul_([a, b], 2.0), 4),
    ],
)
def test_bytes_of_views_and_of_changes_in_place(action, numbers, roofline):
    a, b = torch.ones(6, 5), torch.ones(6, 5)
    assert counted(roofline, lambda: action(a, b))[1] == numbers * a.numel()


def test_an_expanded_tensor_has_the_bytes_of_its_storage(roofline):
    a, b = torch.ones(6, 5), torch.ones(1, 5).expand(6, 5)
    assert counted(roofline, lambda: a + b)[1] == 30 + 5 + 30


def test_the_floor_is_the_greater_of_both(roofline):
    best = roofline.Rates(flop=100.0, bytes=10.0)
    works = [roofline.Work(200, 1), roofline.Work(0, 15)]
    row = roofline.summary(works, best, [4.0, 8.0, 6.0])
    assert (row["bound"], row["floor_milliseconds"], row["in_turn_milliseconds"]) == (
        "operations",
        2000,
        3500,
    )
    assert [row[name] for name in ("ratio", "ratio_lowest", "ratio_highest")] == [3, 2, 4]
    row = roofline.summary([*works, roofline.Work(0, 24)], best, [4.0])
    assert (row["bound"], row["floor_milliseconds"], row["ratio"]) == ("bytes", 4000, 1)
    assert {*row} < {*roofline.COLUMNS}
