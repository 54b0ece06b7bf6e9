from __future__ import annotations

import pytest
import torch
from small_transfer import TOTAL, Method, Small

TABLE_6 = [
    Method("fine_tuning"),
    Method("fine_tuning", "dm"),
    Method("bss"),
    Method("co_tuning"),
    Method("co_tuning", "dm"),
    Method("self_tuning"),
    Method("self_tuning", "mixup"),
    Method("self_tuning", "dm"),
]


@pytest.fixture(params=TABLE_6, ids=lambda method: f"{method.host}-{method.add_on}")
def method(request):
    return request.param


def train(small, steps):
    return [small.step(number) for number in steps]


def test_every_method_learns_16_rows_by_heart(method):
    small = Small(method)
    assert small.accuracy() < 1
    losses = train(small, range(TOTAL))
    assert small.accuracy() == 1
    assert losses[-1]["ce"] < 0.1 * losses[0]["ce"]


def test_a_method_that_is_resumed_has_the_trace_of_one_that_was_not(method):
    whole = Small(method)
    expected = train(whole, range(TOTAL))
    first = Small(method)
    found = train(first, range(TOTAL // 2))
    saved = first.save()
    second = Small(method)
    second.load(saved)
    assert found + train(second, range(TOTAL // 2, TOTAL)) == expected
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


@pytest.mark.parametrize(
    "method",
    [Method("bss", bss=0.0), Method("co_tuning", relation=0.0), Method("self_tuning", contrast=0.0)],
    ids=lambda method: method.host,
)
def test_without_its_weight_every_method_is_fine_tuning(method):
    plain, other = Small(Method("fine_tuning")), Small(method)
    traces = [train(small, range(40)) for small in (plain, other)]
    assert [losses["ce"] for losses in traces[0]] == [losses["ce"] for losses in traces[1]]
    for name in ("trunk.0.weight", "head.weight"):
        assert torch.equal(plain.state_dict()[name], other.state_dict()[name])


def test_a_step_of_self_tuning_moves_the_key_encoder_twice_and_pushes_every_key():
    small = Small(Method("self_tuning"))
    before, trained = (encoder[0].weight.clone() for encoder in (small.key[0], small.trunk))
    with torch.no_grad():
        small.key[0][0].weight.zero_()
    small.step(0)
    expected = (1 - 0.999**2) * trained
    torch.testing.assert_close(small.key[0][0].weight, expected, rtol=1e-4, atol=1e-7)
    assert torch.equal(before, trained)
    # 4 labelled keys a class, and 16 unlabelled ones: 32 pushes to 4 pointers of depth 3
    assert int(small.queue.pointers.sum()) % 3 == 32 % 3


def test_mixed_rows_reach_neither_the_clean_head_nor_the_queue():
    small = Small(Method("self_tuning", "dm"))
    slots = small.queue.slots.clone()
    sum(small.mixed_losses(TOTAL).values()).backward()
    assert torch.equal(small.queue.slots, slots)
    for module in (small.head, small.projector, small.source):
        assert all(parameter.grad is None for parameter in module.parameters())
    assert bool(small.mix_head.weight.grad.any())
    assert all(parameter.grad is None for parameter in small.key.parameters())
