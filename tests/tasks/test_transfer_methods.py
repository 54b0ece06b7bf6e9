"""Every transfer method as a run makes it: it learns, it resumes, it is what its parts say."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from dmix.data.loading.two_streams import TwoStreamBatch
from dmix.engine.method import Step
from dmix.engine.seeding import device_generator, host_generator
from dmix.policies.policy import Draws
from small_transfer import CLASSES, TABLE_6, Images, Method, make_task, make_trainer, recipe, trace, values

CPU = torch.device("cpu")
VARIANTS = [
    Method("self_tuning", "+dm", pairs=(("joint", True),)),
    Method("self_tuning", "+dm", pairs=(("freeze", True),)),
    Method("self_tuning", "+dm", pairs=(("head", "shared"),)),
    Method("self_tuning", "+dm", pairs=(("view", "second"),)),
    Method("self_tuning", "+dm", pairs=(("threshold", 0.3),)),
    Method("self_tuning", "+dm", pairs=(("unlabelled", False),)),
    Method("self_tuning", "+dm", pairs=(("ramp", "none"),)),
    Method("self_tuning", "+dm", pairs=(("sides", "both"),)),
    Method("self_tuning", "+dm", pairs=(("mce_sides", "labelled"),)),
    Method("self_tuning", "+dm", pairs=(("power", 1.0),)),
    Method("self_tuning", "+dm", pairs=(("rule", "at_least_half"),)),
    Method("self_tuning", own=(("pseudo_forward", "repeat"),)),
    Method("co_tuning", "+dm", pairs=(("unlabelled", False),)),
]


def step_of(trainer):
    mix = trainer.draws
    return Step(trainer.step, trainer.total, mix)


def pair(step=0):
    return TwoStreamBatch(Images(1).batch(step), Images(2).batch(step))


def fresh_step(number=30, total=60):
    return Step(number, total, Draws(host_generator(5, "mix"), device_generator(CPU, 5, "mix")))


@pytest.mark.parametrize("method", TABLE_6, ids=str)
def test_every_method_learns_16_images_by_heart(method, tmp_path):
    trainer = make_trainer(method, tmp_path)
    assert trainer.run(lambda _: True)
    assert trainer.history[0]["top1_clean"] < 100
    assert trainer.history[-2]["top1_clean"] == 100
    assert trainer.history[-1]["ce"] < 0.3 * trainer.history[0]["ce"]


@pytest.mark.parametrize("method", [*TABLE_6, *VARIANTS], ids=str)
def test_stopped_and_continued_it_ends_bit_identical(method, tmp_path):
    whole = make_trainer(method, tmp_path, steps=12, schedule={"milestones": [8]}, eval_every=11)
    assert whole.run(lambda _: True)
    first = make_trainer(method, tmp_path, steps=12, schedule={"milestones": [8]}, eval_every=11)
    assert not first.run(lambda one: one.step < 7)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    second = make_trainer(method, tmp_path, steps=12, schedule={"milestones": [8]}, eval_every=11)
    second.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    assert second.run(lambda _: True)
    assert second.history == whole.history
    for name, tensor in values(whole.method).items():
        assert torch.equal(tensor, values(second.method)[name]), name


@pytest.mark.parametrize("method", VARIANTS, ids=str)
def test_every_switch_changes_the_run(method, tmp_path):
    usual = replace(method, own=(), pairs=())
    first, second = (make_trainer(one, tmp_path) for one in (usual, method))
    traces = [trace(trainer, steps=6) for trainer in (first, second)]
    only_statistics = method.pairs == (("freeze", True),) or method.own == (("pseudo_forward", "repeat"),)
    assert (traces[0] == traces[1]) == only_statistics
    mine = values(second.method)
    assert any(not torch.equal(mine[k], v) for k, v in values(first.method).items() if k in mine)


@pytest.mark.parametrize(
    "method",
    [
        Method("bss", own=(("shrinkage", 0.0),)),
        Method("co_tuning", own=(("relation_weight", 0.0),)),
        Method("self_tuning", own=(("contrast", 0.0),)),
    ],
    ids=str,
)
def test_without_its_weight_every_method_is_fine_tuning(method, tmp_path):
    plain, other = make_trainer(Method("fine_tuning"), tmp_path), make_trainer(method, tmp_path)
    traces = [[row["ce"] for row in trace(trainer, steps=20)] for trainer in (plain, other)]
    assert traces[0] == traces[1]
    theirs = values(other.method)
    for name, tensor in values(plain.method).items():
        if name.startswith(("encoder", "head")) and "running" not in name and "batches" not in name:
            assert torch.equal(tensor, theirs[name]), name


def test_a_step_of_self_tuning_is_its_formula(tmp_path):
    """Written out with loops over rows, from the network's outputs."""
    task = make_task(Method("self_tuning"), tmp_path, recipe()).double()
    batch = doubled(pair())
    slots, q = task.queue.slots.clone(), {}
    key = [parameter.clone() for parameter in task.key.parameters()]
    trained = [*task.encoder.parameters(), *task.projector.parameters()]
    with torch.no_grad():
        labels = batch.labelled.labels
        features = {
            "l": task.encoder(batch.labelled.images[0]),
            "u": task.encoder(batch.unlabelled.images[0]),
        }
        classes = {"l": labels, "u": task.head(features["u"]).argmax(1)}
        expected = {"ce": functional.cross_entropy(task.head(features["l"]), labels).item()}
        pointer = [0] * CLASSES
        images = {"l": batch.labelled.images[1], "u": batch.unlabelled.images[1]}
        for kind in ("l", "u"):
            key = [0.999 * k + 0.001 * t for k, t in zip(key, trained, strict=True)]
            follower = make_task(Method("self_tuning"), tmp_path, recipe()).double()
            for one, value in zip(follower.key.parameters(), key, strict=True):
                one.data = value
            q[kind] = functional.normalize(task.projector(features[kind]), dim=1)
            k = functional.normalize(follower.key(images[kind]), dim=1)
            total = 0.0
            for row, own in enumerate(classes[kind].tolist()):
                positives = [float(q[kind][row] @ k[row]), *(float(q[kind][row] @ s) for s in slots[own])]
                others = [float(q[kind][row] @ s) for c in range(CLASSES) if c != own for s in slots[c]]
                log_p = torch.tensor([*positives, *others]).double().div(0.07).log_softmax(0)
                total -= float(log_p[: len(positives)].mean())
            expected[f"contrast_{kind}"] = total / len(labels)
            for row, own in enumerate(classes[kind].tolist()):
                slots[own, pointer[own] % 3] = k[row]
                pointer[own] += 1
    fresh = make_task(Method("self_tuning"), tmp_path, recipe()).double()
    found = fresh.losses(batch, fresh_step())
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value, rel=1e-6), name
    torch.testing.assert_close(fresh.queue.slots, slots, rtol=1e-6, atol=1e-6)
    assert fresh.queue.pointers.tolist() == [count % 3 for count in pointer]


def doubled(batch):
    def views(one):
        return replace(one, images=tuple(image.double() for image in one.images))

    return TwoStreamBatch(views(batch.labelled), views(batch.unlabelled))


def test_a_step_moves_the_key_encoder_twice_before_the_optimiser_and_never_trains_it(tmp_path):
    trainer = make_trainer(Method("self_tuning"), tmp_path)
    task = trainer.method
    trained = [one.detach().clone() for one in (*task.encoder.parameters(), *task.projector.parameters())]
    with torch.no_grad():
        for one in task.key.parameters():
            one.zero_()
    buffers = {name: value.clone() for name, value in task.key.named_buffers()}
    trainer.train_step()
    for found, before in zip(task.key.parameters(), trained, strict=True):
        torch.testing.assert_close(found, (1 - 0.999**2) * before, rtol=1e-4, atol=1e-8)
    assert not any(one.requires_grad for one in task.key.parameters())
    held = {id(p) for group in trainer.optimizer.param_groups for p in group["params"]}
    assert held.isdisjoint(id(one) for one in task.key.parameters())
    assert held == {id(one) for one in task.parameters() if one.requires_grad}
    changed = [name for name, value in task.key.named_buffers() if not torch.equal(value, buffers[name])]
    assert len(changed) == len(buffers)  # its own running statistics: each norm has seen two batches
    counters = [value for name, value in task.key.named_buffers() if name.endswith("tracked")]
    assert {int(value) for value in counters} == {2}


@pytest.mark.parametrize(
    "method", [*TABLE_6, Method("fine_tuning", "+dm", pairs=(("head", "shared"),))], ids=str
)
def test_new_classifiers_have_ten_times_the_rate_at_every_step(method, tmp_path):
    trainer = make_trainer(method, tmp_path, steps=12, schedule={"milestones": [5, 9]}, eval_every=11)
    fast = [trainer.method.head, *([trainer.method.addon.own] if method.add_on else [])]
    fast = {id(p) for head in fast if head is not None for p in head.parameters()}
    while trainer.step < trainer.total:
        trainer.train_step()
        groups = trainer.optimizer.param_groups
        rates = {id(p): group["lr"] for group in groups for p in group["params"]}
        slow = {rate for p, rate in rates.items() if p not in fast}
        assert len(slow) == 1
        assert len({rates[p] for p in fast}) == 1
        assert max(rates[p] for p in fast) == pytest.approx(10 * slow.pop(), rel=1e-15)
        assert {group["weight_decay"] for group in groups} == {5e-4}  # norms and biases too


def test_mixed_rows_reach_neither_the_clean_head_nor_the_queue_nor_the_source(tmp_path):
    for method in (Method("self_tuning", "+dm"), Method("co_tuning", "+dm")):
        task = make_task(method, tmp_path, recipe())
        found = task.losses(pair(), fresh_step())
        (found["mixed_ll"] + found["mixed_lu"]).backward()
        untouched = [
            task.head,
            *(getattr(task, name) for name in ("projector", "source") if hasattr(task, name)),
        ]
        assert all(one.grad is None for module in untouched for one in module.parameters())
        assert bool(task.addon.own.weight.grad.any())
        bare = make_task(Method(method.host), tmp_path, recipe())
        plain = bare.losses(pair(), fresh_step())
        assert {name: found[name].item() for name in plain} == {k: v.item() for k, v in plain.items()}


def test_an_own_head_equal_to_the_clean_one_is_only_a_route(tmp_path):
    own, shared = (
        make_task(Method("fine_tuning", "+dm", pairs=(("head", head),)), tmp_path, recipe())
        for head in ("own", "shared")
    )
    own.addon.own.load_state_dict(own.head.state_dict())
    shared.load_state_dict({k: v for k, v in own.state_dict().items() if not k.startswith("pairing")})
    found = [task.losses(pair(), fresh_step()) for task in (own, shared)]
    assert {k: v.item() for k, v in found[0].items()} == {k: v.item() for k, v in found[1].items()}
    assert list(own.eval().predict(pair().labelled.images[0])) == ["clean", "mixed"]
    assert list(shared.predict(pair().labelled.images[0])) == ["clean"]


def test_frozen_mixed_rows_leave_no_trace_in_the_running_statistics(tmp_path):
    counts = {}
    for method in (
        Method("fine_tuning"),
        Method("fine_tuning", "+dm"),
        Method("fine_tuning", "+dm", pairs=(("freeze", True),)),
        Method("fine_tuning", "+dm", pairs=(("joint", True),)),
        Method("self_tuning"),
        Method("self_tuning", own=(("pseudo_forward", "repeat"),)),
    ):
        task = make_task(method, tmp_path, recipe())
        task.losses(pair(), fresh_step())
        seen = {int(v) for k, v in task.encoder.state_dict().items() if k.endswith("num_batches_tracked")}
        counts[str(method)] = seen
    assert list(counts.values()) == [{1}, {4}, {3}, {2}, {2}, {3}]


def test_the_weight_of_unlabelled_pairs_climbs_half_a_cosine(tmp_path):
    task = make_task(Method("fine_tuning", "+dm"), tmp_path, recipe())
    weights = [task.addon.weight(fresh_step(number)) for number in (0, 15, 30, 45, 60)]
    assert weights == pytest.approx([0.0, 0.1464466094067262, 0.5, 0.8535533905932737, 1.0], abs=1e-12)
    first = task.losses(pair(), fresh_step(0))
    assert float(first["mixed_lu"].detach()) == 0


def test_a_class_relation_of_other_classes_or_a_damaged_one_is_refused(tmp_path, monkeypatch):
    import safetensors.torch

    from dmix.errors import DmixError
    from small_transfer import relation_file

    make_task(Method("co_tuning"), tmp_path, recipe())
    monkeypatch.setattr("small_transfer.CLASSES", CLASSES + 1)  # of the class relation and of the network
    monkeypatch.setattr("small_transfer.relation_file", lambda folder: folder / "relationship.safetensors")
    with pytest.raises(DmixError, match=r"is \(4, 6\), not \(5, 6\)"):
        make_task(Method("co_tuning"), tmp_path, recipe())
    monkeypatch.undo()
    path = relation_file(tmp_path)
    read = safetensors.torch.load_file(path)
    from dmix.methods.transfer.co_tuning import read_matrix

    assert torch.equal(read_matrix(path), read["relationship"])
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DmixError, match="cannot read the class relation"):
        read_matrix(path)
