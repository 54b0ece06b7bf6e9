from __future__ import annotations

import json
from itertools import accumulate
from pathlib import Path

import pytest
import torch

from dmix.methods.semi.interleave import chunks, interleave

GOLDENS = json.loads(Path(__file__).with_name("semi_goldens.json").read_text())["interleave"]


@pytest.mark.parametrize("case", GOLDENS["offsets"])
def test_parts_are_the_goldens(case):
    rows, groups = map(int, case.split("x"))
    assert list(accumulate(chunks(rows, groups), initial=0)) == GOLDENS["offsets"][case]


def test_groups_are_the_goldens():
    names = [f"{group}{row}" for group in "xuw" for row in range(5)]
    found = interleave(list(torch.arange(15).view(3, 5)))
    assert [[names[i] for i in group.tolist()] for group in found] == GOLDENS["groups_after_5x3"]


@pytest.mark.parametrize(("rows", "groups"), [(64, 3), (64, 4), (5, 3), (2, 4), (7, 1)])
def test_twice_is_nothing_and_once_loses_nothing(rows, groups):
    given = list(torch.randn(groups, rows, 2, 3))
    once = interleave(given)
    assert torch.equal(torch.stack(interleave(once)), torch.stack(given))
    assert torch.equal(torch.stack(once).flatten().sort().values, torch.stack(given).flatten().sort().values)


def test_gradients_go_back_to_where_rows_came_from():
    given = [torch.ones(5, requires_grad=True) for _ in range(3)]
    interleave(given)[0].sum().backward()
    taken = [[] if group.grad is None else group.grad.nonzero().flatten().tolist() for group in given]
    assert taken == [[0], [1, 2], [3, 4]]
