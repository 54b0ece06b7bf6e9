from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from dmix.methods.transfer.self_tuning import ClassQueue, enqueue, pseudo_group_contrast
from transfer_goldens import GOLDENS, doubles, is_golden

INPUTS, EXPECTED = GOLDENS["pgc"]["inputs"], GOLDENS["pgc"]["expected"]
TAU = INPUTS["tau"]


def units(rng, *shape):
    return functional.normalize(torch.from_numpy(rng.normal(size=shape)), dim=-1)


def case(rows=9, classes=4, depth=5, width=6, seed=0):
    rng = np.random.default_rng([rows, classes, depth, width, seed])
    labels = torch.from_numpy(rng.integers(classes, size=rows))
    return units(rng, rows, width), units(rng, rows, width), labels, units(rng, classes, depth, width)


def naive_logits(q, k, label, slots):
    """The row's similarities: own key, slots of the own class, slots of the other classes ascending."""
    others = [slots[c] for c in range(len(slots)) if c != label]
    return torch.cat([k[None], slots[label], *others]) @ q / TAU


def naive_loss(queries, keys, labels, slots):
    depth = slots.shape[1]
    losses = [
        -naive_logits(q, k, int(label), slots).log_softmax(0)[: depth + 1].mean()
        for q, k, label in zip(queries, keys, labels, strict=True)
    ]
    return torch.stack(losses)


def naive_push(slots, pointers, keys, labels):
    slots, pointers = slots.clone(), pointers.clone()
    for key, label in zip(keys, labels.tolist(), strict=True):
        slots[label, pointers[label]] = key
        pointers[label] = (pointers[label] + 1) % slots.shape[1]
    return slots, pointers


def test_two_calls_are_golden():
    slots, pointers = doubles(INPUTS["queue_classes_slots_dim"]), torch.zeros(3, dtype=torch.int64)
    for call in ("call1", "call2"):
        given, expected = INPUTS[call], EXPECTED[call]
        queries = doubles(given["q"]).requires_grad_()
        keys, labels = doubles(given["k"]), torch.tensor(given["labels"])
        loss = pseudo_group_contrast(queries, keys, labels, slots, temperature=TAU).mean()
        is_golden(loss, expected["ce_form"])
        is_golden(loss - math.log(slots.shape[1] + 1), expected["kl_form"])
        if call == "call1":
            logits = [
                naive_logits(*row, slots) for row in zip(queries.detach(), keys, labels.tolist(), strict=True)
            ]
            is_golden(torch.stack(logits), expected["logits"])
            is_golden(torch.autograd.grad(loss, queries)[0], expected["grad_q_ce"])
        slots, pointers = enqueue(slots, pointers, keys, labels)
        is_golden(slots, expected["state_after"]["queue"])
        assert pointers.tolist() == expected["state_after"]["ptr"]


def test_own_key_s_part_is_golden_info_nce():
    """The loss is the mean of InfoNCE with each of D + 1 positives; here those with slots are removed."""
    slots = doubles(INPUTS["queue_classes_slots_dim"])
    q, k = (doubles(INPUTS["call1"][name]) for name in "qk")
    labels = torch.tensor(INPUTS["call1"]["labels"])
    loss = pseudo_group_contrast(q, k, labels, slots, temperature=TAU)
    of_slots = []
    for row in range(2):
        log_p = naive_logits(q[row], k[row], labels[row], slots).log_softmax(0)
        of_slots.append(-log_p[1:3].sum())
    own = 3 * loss - torch.stack(of_slots)
    is_golden(own.mean(), EXPECTED["info_nce_one_positive_all_six_queue_vectors_negative"])


@pytest.mark.parametrize("classes", [200, 196, 100])
def test_equal_similarities_are_golden(classes):
    slots = torch.ones(classes, 32, 1, dtype=torch.float64)
    ones = torch.ones(3, 1, dtype=torch.float64)
    loss = pseudo_group_contrast(ones, ones, torch.tensor([0, 5, 99]), slots, temperature=TAU)
    expected = EXPECTED[f"all_logits_equal_C{classes}_D32"]
    for row in loss:
        is_golden(row, expected["ce_form"])
        is_golden(row - math.log(33), expected["kl_form"])
    assert loss[0].item() == pytest.approx(math.log(1 + 32 * classes), abs=1e-12)


@pytest.mark.parametrize("shape", [(9, 4, 5, 6), (3, 2, 1, 4), (24, 10, 32, 16), (1, 3, 2, 5)])
def test_vectorised_loss_is_the_loop(shape):
    arguments = case(*shape)
    found = pseudo_group_contrast(*arguments, temperature=TAU)
    torch.testing.assert_close(found, naive_loss(*arguments), rtol=1e-10, atol=1e-10)


def test_gradient_is_that_of_finite_differences_and_of_the_divergence():
    queries, keys, labels, slots = case()
    queries.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda q: pseudo_group_contrast(q, keys, labels, slots, temperature=TAU), queries, atol=1e-6
    )
    (found,) = torch.autograd.grad(
        pseudo_group_contrast(queries, keys, labels, slots, temperature=TAU).mean(), queries
    )
    log_p = torch.stack(
        [naive_logits(*row, slots) for row in zip(queries, keys, labels.tolist(), strict=True)]
    ).log_softmax(1)
    target = torch.zeros_like(log_p)
    target[:, : slots.shape[1] + 1] = 1 / (slots.shape[1] + 1)
    divergence = functional.kl_div(log_p, target, reduction="batchmean")
    torch.testing.assert_close(torch.autograd.grad(divergence, queries)[0], found, rtol=1e-10, atol=1e-10)


def test_slots_may_be_permuted_inside_a_class_and_classes_renamed():
    queries, keys, labels, slots = case()
    expected = pseudo_group_contrast(queries, keys, labels, slots, temperature=TAU)
    permuted = slots[:, torch.tensor([3, 0, 4, 1, 2])]
    found = pseudo_group_contrast(queries, keys, labels, permuted, temperature=TAU)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    renamed = torch.tensor([2, 3, 1, 0])
    moved = torch.empty_like(slots)
    moved[renamed] = slots
    found = pseudo_group_contrast(queries, keys, renamed[labels], moved, temperature=TAU)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_keys_and_queue_get_no_gradient():
    queries, keys, labels, slots = (
        field.requires_grad_() if field.is_floating_point() else field for field in case()
    )
    pseudo_group_contrast(queries, keys, labels, slots, temperature=TAU).mean().backward()
    assert bool(queries.grad.any())
    assert keys.grad is None
    assert slots.grad is None
    written, _ = enqueue(slots.detach(), torch.zeros(4, dtype=torch.int64), keys, labels)
    assert not written.requires_grad


def test_rows_do_not_see_each_other_s_keys():
    queries, keys, labels, slots = case()
    batch = pseudo_group_contrast(queries, keys, labels, slots, temperature=TAU)
    single = [
        pseudo_group_contrast(queries[i : i + 1], keys[i : i + 1], labels[i : i + 1], slots, temperature=TAU)
        for i in range(len(labels))
    ]
    torch.testing.assert_close(batch, torch.cat(single), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_autocast_changes_nothing(dtype):
    queries, keys, labels, slots = case()
    q, k = queries.to(dtype), keys.to(dtype)
    plain = pseudo_group_contrast(q, k, labels, slots.float(), temperature=TAU)
    with torch.autocast("cpu", torch.bfloat16):
        found = pseudo_group_contrast(q, k, labels, slots.float(), temperature=TAU)
    assert found.dtype == torch.float32
    assert torch.equal(found, plain)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("rows", "classes", "depth"), [(9, 4, 5), (24, 2, 3), (40, 3, 1), (1, 5, 2)])
def test_vectorised_push_is_the_loop(rows, classes, depth, seed):
    _, keys, labels, slots = case(rows, classes, depth, 4, seed)
    pointers = torch.from_numpy(np.random.default_rng(seed).integers(depth, size=classes))
    before = slots.clone(), pointers.clone()
    found = enqueue(slots, pointers, keys, labels)
    for new, expected in zip(found, naive_push(slots, pointers, keys, labels), strict=True):
        assert torch.equal(new, expected)
    assert all(map(torch.equal, (slots, pointers), before))


def test_one_more_than_the_depth_leaves_the_last_ones():
    _, keys, _, slots = case(rows=6, depth=5)
    written, pointers = enqueue(
        slots, torch.zeros(4, dtype=torch.int64), keys, torch.full((6,), 2, dtype=torch.int64)
    )
    assert torch.equal(written[2], keys[[5, 1, 2, 3, 4]])
    assert torch.equal(written[[0, 1, 3]], slots[[0, 1, 3]])
    assert pointers.tolist() == [0, 0, 1, 0]


def test_a_loss_can_be_differentiated_after_the_push():
    queries, keys, labels, _ = case()
    queue = ClassQueue(4, 5, 6, torch.Generator().manual_seed(0))
    q = queries.float().requires_grad_()
    loss = pseudo_group_contrast(q, keys.float(), labels, queue.slots, temperature=TAU).mean()
    queue.push(keys, labels)
    (found,) = torch.autograd.grad(loss, q)
    start = ClassQueue(4, 5, 6, torch.Generator().manual_seed(0)).slots
    again = pseudo_group_contrast(q, keys.float(), labels, start, temperature=TAU).mean()
    assert torch.equal(found, torch.autograd.grad(again, q)[0])


def test_queue_starts_with_random_unit_vectors_and_is_in_the_state():
    queue = ClassQueue(7, 5, 64, torch.Generator().manual_seed(3))
    lengths = queue.slots.norm(dim=2)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))
    flat = queue.slots.view(35, 64)
    assert float((flat @ flat.T - torch.eye(35)).abs().max()) < 0.6
    assert queue.pointers.tolist() == [0] * 7
    assert not list(queue.parameters())
    queue.push(*[torch.ones(2, 64), torch.tensor([1, 1])])
    other = ClassQueue(7, 5, 64, torch.Generator().manual_seed(4))
    other.load_state_dict(queue.state_dict())
    assert torch.equal(other.slots, queue.slots)
    assert other.pointers.tolist() == [0, 2, 0, 0, 0, 0, 0]
