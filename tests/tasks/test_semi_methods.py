"""Every semi-supervised method as a run makes it: it learns, it resumes, it is what its parts say."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from dmix.data.augment.identity import Identity
from dmix.data.labels.splits import label_split
from dmix.data.loading.feed import ReadOptions
from dmix.engine.method import Feeding, Ingredients
from dmix.errors import DmixError
from dmix.methods import passes
from dmix.methods.addons.pseudo import pseudo_labels
from dmix.methods.semi.interleave import dealt_out, interleave
from dmix.methods.semi.mixmatch import MixMatch, decoupled_by_kinds
from dmix.methods.semi.targets import follow, probabilities
from dmix.objectives.decoupled import decoupled_terms
from dmix.objectives.mce import mce
from dmix.policies.cutmix import CutMix
from dmix.policies.draw import draw_lam, draw_partner
from mixed_losses import asymmetric_loss, labelled_loss
from small_semi import (
    BATCHES,
    CLASSES,
    CPU,
    HOSTS,
    IMAGES,
    LABELS,
    PAIRS,
    ROWS,
    TABLE_7,
    Method,
    dataset,
    doubled,
    make_loader,
    make_task,
    make_trainer,
    recipe,
    resnet,
    step_at,
    trace,
    values,
    wide_resnet,
)
from small_transfer import make_addon

VARIANTS = [
    BATCHES,
    Method("mixmatch", "+dm", own=(("dm", "batches"),), pairs=(("freeze", True),)),
    Method("uda", own=(("annealing", "linear"),)),
    Method("flexmatch", own=(("warm_up", False),)),
    Method("flexmatch", "+dm"),
    Method("uda", "+dm"),
    Method("fixmatch", "+dm", pairs=(("joint", False),)),
    Method("fixmatch", "+dm", pairs=(("joint", False), ("freeze", True))),
    Method("fixmatch", "+dm", pairs=(("view", "second"),)),
    Method("fixmatch", "+dm", pairs=(("unlabelled", False),)),
    Method("fixmatch", "+dm", pairs=(("head", "shared"),)),
]


def numbers(losses):
    return {name: loss.item() for name, loss in losses.items()}


def counters(module):
    return {int(v) for k, v in module.state_dict().items() if k.endswith("num_batches_tracked")}


@pytest.mark.parametrize("method", TABLE_7, ids=str)
def test_every_method_learns_its_labels_by_heart(method):
    # MixMatch's weight of 100 is for runs in which the network knows something when it is reached
    method = replace(method, own=(("weight", 5.0),)) if method.host == "mixmatch" else method
    trainer = make_trainer(method, steps=120, eval_every=119)
    assert trainer.run(lambda _: True)
    images = trainer.loader.batch(0).labelled
    with torch.no_grad():
        found = trainer.method.predict(images.images[0])["clean"].argmax(1)
    assert torch.equal(found, images.labels)
    assert trainer.history[-1]["ce"] < trainer.history[0]["ce"]


@pytest.mark.parametrize("method", [*TABLE_7, *VARIANTS], ids=str)
def test_stopped_and_continued_it_ends_bit_identical(method):
    def trainer():
        return make_trainer(method, wide_resnet, eval_every=10)

    whole = trainer()
    assert whole.run(lambda _: True)
    first = trainer()
    assert not first.run(lambda one: one.step < 20)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    second = trainer()
    second.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    assert second.run(lambda _: True)
    assert second.history == whole.history
    theirs = values(second.method)
    for name, tensor in values(whole.method).items():
        assert torch.equal(tensor, theirs[name]), name
    assert whole.evaluated_state().keys() == theirs.keys()


def test_what_a_method_has_learned_of_images_and_classes_is_in_its_state():
    state = make_task(Method("flexmatch")).state_dict()
    assert state["last"].tolist() == [-1] * IMAGES
    assert state["last"].dtype == torch.int64
    _, trainer = trace(Method("flexmatch"))
    last = trainer.method.state_dict()["last"]
    assert last.shape == (IMAGES,)
    assert last.max() >= 0
    _, trainer = trace(Method("remixmatch"))
    predicted = trainer.method.state_dict()["predicted"]
    assert predicted.sum().item() == pytest.approx(1, abs=1e-5)
    assert len(predicted.unique()) == CLASSES


@pytest.mark.parametrize("network", [resnet, wide_resnet], ids=["resnet", "wide_resnet"])
@pytest.mark.parametrize("method", TABLE_7, ids=str)
def test_a_step_counts_one_batch(method, network):
    task = make_task(method, network=network)
    task.losses(make_loader(method).batch(0), step_at(3))
    assert counters(task) == {1}
    task.losses(make_loader(method).batch(1), step_at(4))
    assert counters(task) == {2}


@pytest.mark.parametrize(
    ("method", "batches"),
    [
        (BATCHES, 3),
        (Method("mixmatch", "+dm", own=(("dm", "batches"),), pairs=(("freeze", True),)), 2),
        (Method("fixmatch", "+dm", pairs=(("joint", False),)), 3),
        (Method("fixmatch", "+dm", pairs=(("joint", False), ("freeze", True))), 2),
    ],
    ids=str,
)
def test_mixed_rows_that_are_apart_count_as_batches_of_their_own(method, batches):
    task = make_task(method)
    task.losses(make_loader(method).batch(0), step_at(3))
    assert counters(task) == {batches}


def test_a_look_leaves_no_trace_and_sees_what_training_sees():
    method = Method("mixmatch")
    images = make_loader(method).batch(0).unlabelled.images[0]
    looking, training = make_task(method), make_task(method)
    before = values(looking)
    found = looking.look(images)
    assert not found.requires_grad
    assert torch.equal(found, training.head(training.encoder(images)).detach())
    for name, tensor in values(looking).items():
        assert torch.equal(tensor, before[name]), name
    assert counters(training) == {1}
    assert looking.encoder.training


@pytest.mark.parametrize("method", [one for one in TABLE_7 if one.host not in ("supervised_only",)], ids=str)
def test_unlabelled_labels_are_not_looked_at(method):
    batch = make_loader(method).batch(0)
    other = replace(batch, unlabelled=replace(batch.unlabelled, labels=batch.unlabelled.labels * 0 - 1))
    found = [numbers(make_task(method).losses(one, step_at(9))) for one in (batch, other)]
    assert found[0] == found[1]


class ReadsBack(TorchDispatchMode):
    """Refuses what makes the host wait for numbers of the device, or shapes depend on them."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        waits = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "bincount", "aten.equal")
        assert not any(name in str(function) for name in waits), function
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("method", [*TABLE_7, *VARIANTS], ids=str)
def test_no_step_reads_a_number_back(method):
    task, batch = make_task(method), make_loader(method).batch(0)
    with ReadsBack():
        sum(task.losses(batch, step_at(3)).values()).backward()
    with pytest.raises(AssertionError, match="_local_scalar_dense"), ReadsBack():
        float(batch.labelled.images[0].sum())


def test_pseudo_label_is_its_formula():
    method = Method("pseudo_label")
    task, batch = make_task(method).double(), doubled(make_loader(method).batch(0))
    with torch.no_grad():
        model = make_task(method).double()
        labelled = model.head(model.encoder(batch.labelled.images[0]))
        z = model.head(model.encoder(batch.unlabelled.images[0]))
    sure = [float(row.softmax(0).max()) >= 0.4 for row in z]
    rows = [float(-row.log_softmax(0).max()) for row in z]
    found = task.losses(batch, step_at(8, 40))  # half of the ramp
    assert found["ce"].item() == pytest.approx(
        functional.cross_entropy(labelled, batch.labelled.labels).item(), rel=1e-12
    )
    expected = 0.5 * sum(row for row, counts in zip(rows, sure, strict=True) if counts) / len(rows)
    assert found["pseudo"].item() == pytest.approx(expected, rel=1e-12)
    assert 0 < sum(sure) < len(sure)
    at_first = make_task(method).losses(make_loader(method).batch(0), step_at(0))
    assert at_first["pseudo"].item() == 0


def test_fixmatch_and_its_mixed_rows_are_their_formulas():
    """One forward pass of all rows, written out."""
    method = Method("fixmatch", "+dm", pairs=(("threshold", 0.45),))
    task, model = make_task(method).double(), make_task(method).double()
    batch, step = doubled(make_loader(method).batch(0)), step_at(10, 40)
    found = task.losses(batch, step_at(10, 40))
    x, y, (weak, strong) = batch.labelled.images[0], batch.labelled.labels, batch.unlabelled.images
    lam = torch.from_numpy(draw_lam(step.draws.host, 0.2, ROWS))
    partner = torch.from_numpy(draw_partner(step.draws.host, ROWS, derangement=False))
    drawn = float(draw_lam(step.draws.host, 0.2, ROWS)[0])
    share = torch.full((ROWS,), min(drawn, 1 - drawn))
    with torch.no_grad():
        a, b = lam[0].double(), share[0].double()
        mixed_ll = a * x + (1 - a) * x[partner]
        mixed_lu = b * x + (1 - b) * weak[:ROWS]
        features = model.encoder(torch.cat([x, weak, strong, mixed_ll, mixed_lu]))
        z = model.head(features)
        z_x, z_w, z_s = z[:ROWS], z[ROWS : 4 * ROWS], z[4 * ROWS : 7 * ROWS]
        mixed = model.addon.own(features[7 * ROWS :])
        p, v = z_w.softmax(1).max(1)
        expected = {
            "ce": functional.cross_entropy(z_x, y),
            "consistency": (functional.cross_entropy(z_s, v, reduction="none") * (p >= 0.4)).mean(),
            "mixed_ll": labelled_loss(mixed[:ROWS], y, y[partner], lam, eta=0.1),
            "mixed_lu": 0.1464466094067262
            * asymmetric_loss(mixed[ROWS:], y, v[:ROWS], share, eta=0.1, mask=(p[:ROWS] >= 0.45).double()),
        }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value.item(), rel=1e-6), name
        assert value.item() > 0
    assert 0 < (p >= 0.4).sum() < len(p)
    assert (p >= 0.45).sum() < (p >= 0.4).sum()


@pytest.mark.parametrize("method", [Method(host) for host in ("fixmatch", "flexmatch", "uda")], ids=str)
def test_no_gradient_reaches_the_logits_of_weak_rows(method):
    task, batch = make_task(method), make_loader(method).batch(0)
    seen = []
    task.head.register_forward_hook(lambda *given: seen.append(given[2]) or given[2].retain_grad())
    sum(task.losses(batch, step_at(5)).values()).backward()
    with torch.no_grad():
        rows = torch.cat([batch.labelled.images[0], *batch.unlabelled.images])
        z = make_task(method).head(make_task(method).encoder(rows))
    logits = dict(zip(("labelled", "weak", "strong"), z.split([ROWS, 3 * ROWS, 3 * ROWS]), strict=True))
    found = {
        name: next(one for one in seen if len(one) == len(part) and torch.allclose(one, part, atol=1e-5))
        for name, part in logits.items()
    }
    assert found["weak"].grad is None
    assert found["labelled"].grad.any()
    assert found["strong"].grad.any()


def test_above_a_threshold_of_1_fixmatch_is_its_labels_alone():
    method = Method("fixmatch", own=(("threshold", 1.01),))
    task = make_task(method)
    losses = task.losses(make_loader(method).batch(0), step_at(5))
    assert losses["consistency"].item() == 0
    grads = [
        torch.autograd.grad(loss, task.head.weight, retain_graph=True)[0]
        for loss in (losses["ce"], losses["ce"] + losses["consistency"])
    ]
    assert torch.equal(*grads)


def test_without_weights_and_apart_mixed_rows_leave_fixmatch_as_it_is():
    plain, bare = trace(Method("fixmatch"))
    nothing = (("joint", False), ("w_ll", 0.0), ("w_lu", 0.0))
    mixing, other = trace(Method("fixmatch", "+dm", pairs=nothing))
    for row, expected in zip(mixing, plain, strict=True):
        assert row.pop("mixed_ll") == 0
        assert row.pop("mixed_lu") == 0
        assert row == expected
    theirs = dict(other.method.named_parameters())
    for name, parameter in bare.method.named_parameters():
        assert torch.equal(parameter, theirs[name]), name


def test_uda_is_its_formula():
    method = Method("uda", own=(("annealing", "linear"),))
    task, model = make_task(method).double(), make_task(method).double()
    batch = doubled(make_loader(method).batch(0))
    found = task.losses(batch, step_at(10, 40))
    with torch.no_grad():
        rows = torch.cat([batch.labelled.images[0], *batch.unlabelled.images])
        z_x, z_w, z_s = model.head(model.encoder(rows)).split([ROWS, 3 * ROWS, 3 * ROWS])
        sure = z_x.softmax(1).amax(1) <= 0.25 + 0.25 * 0.75
        ce = functional.cross_entropy(z_x, batch.labelled.labels, reduction="none")
        target = (z_w / 0.4).softmax(1)
        soft = -(target * z_s.log_softmax(1)).sum(1)
        counts = z_w.softmax(1).amax(1) >= 0.4
    assert found["ce"].item() == pytest.approx((ce * sure).mean().item(), rel=1e-10)
    assert found["consistency"].item() == pytest.approx((soft * counts).mean().item(), rel=1e-10)
    assert 0 < sure.sum() < ROWS
    assert 0 < counts.sum() < 3 * ROWS


def test_flexmatch_counts_what_it_recorded_and_records_by_index():
    method = Method("flexmatch", own=(("threshold", 0.5),))
    task, model = make_task(method), make_task(method)
    batch = make_loader(method).batch(0)
    found = task.losses(batch, step_at(0))
    fixed = make_task(Method("fixmatch", own=(("threshold", 0.0),)))
    assert found["consistency"].item() == fixed.losses(batch, step_at(0))["consistency"].item()
    with torch.no_grad():
        rows = torch.cat([batch.labelled.images[0], *batch.unlabelled.images])
        pseudo = pseudo_labels(model.head(model.encoder(rows)[ROWS : 4 * ROWS]))
    expected = [-1] * IMAGES
    for image, label, p in zip(batch.unlabelled.index, *pseudo, strict=True):
        if p >= 0.5:
            expected[image] = int(label)
    assert task.last.tolist() == expected
    assert len(set(expected)) > 1


def mixmatch_by_hand(model, batch, step, alpha, copies, q, first=0):
    """The logits of MixMatch's rows, their targets, partners and lam: everything but its losses."""
    n = ROWS * (1 + copies)
    lam = float(draw_lam(step.draws.host, alpha, n)[0])
    lam = max(lam, float(np.float32(1) - np.float32(lam)))
    partner = torch.from_numpy(draw_partner(step.draws.host, n, derangement=False))
    views = batch.unlabelled.images
    images = torch.cat([batch.labelled.images[0], *views[first:], *views[:first]])
    one_hot = functional.one_hot(batch.labelled.labels, CLASSES).double()
    targets = torch.cat([one_hot, *[q] * copies])
    images = lam * images + (1 - lam) * images[partner]
    targets = lam * targets + (1 - lam) * targets[partner]
    groups = [model.head(model.encoder(group)) for group in interleave(images.split(ROWS))]
    return torch.cat(interleave(groups)), targets, partner, torch.full((n,), lam)


@pytest.mark.parametrize("method", [Method("mixmatch"), Method("mixmatch", "+dm")], ids=str)
@torch.no_grad()
def test_mixmatch_is_its_formula(method):
    task, model = make_task(method).double(), make_task(method).double()
    batch = doubled(make_loader(method).batch(0))
    found = task.losses(batch, step_at(8, 40))
    p = sum(model.head(model.encoder(view)).softmax(1) for view in batch.unlabelled.images) / 2
    q = p**2 / (p**2).sum(1, keepdim=True)
    z, targets, partner, lam = mixmatch_by_hand(model, batch, step_at(8, 40), 0.5, 2, q)
    y = batch.labelled.labels
    expected = {
        "ce": -(targets * z.log_softmax(1))[:ROWS].sum(1).mean(),
        "squared": 50 * ((z.softmax(1) - targets)[ROWS:] ** 2).mean(),
    }
    if method.add_on:
        classes = torch.cat([y, q.argmax(1), q.argmax(1)])
        ll, lu = decoupled_by_kinds(decoupled_terms(z, classes, classes[partner], lam), partner, ROWS)
        expected |= {"decoupled_ll": 0.1 * ll, "decoupled_lu": 0.1 * 0.5 * lu}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value.item(), rel=1e-6), name
        assert value.item() > 0


def test_decoupled_terms_come_to_mixmatch_and_change_nothing_of_it():
    batch = make_loader(Method("mixmatch")).batch(0)
    bare = numbers(make_task(Method("mixmatch")).losses(batch, step_at(9)))
    for method in (Method("mixmatch", "+dm"), BATCHES):
        found = numbers(make_task(method).losses(batch, step_at(9)))
        assert {name: found[name] for name in bare} == bare
        assert (
            list(found)[2:]
            == {
                "mixmatch+dm": ["decoupled_ll", "decoupled_lu"],
                "mixmatch+dm-dm=batches": ["mixed_ll", "mixed_lu"],
            }[str(method)]
        )
    for name in ("w_ll", "w_lu"):
        changed = make_task(Method("mixmatch", "+dm", pairs=((name, 0.0),)))
        found = numbers(changed.losses(batch, step_at(9)))
        assert found[f"decoupled_{name[2:]}"] == 0
        assert {key: found[key] for key in bare} == bare
    by_kinds, beside = make_task(Method("mixmatch", "+dm")), make_task(BATCHES)
    assert values(by_kinds).keys() == values(make_task(Method("mixmatch"))).keys()
    images = batch.labelled.images[0]
    assert list(by_kinds.predict(images)) == ["clean"]
    assert list(beside.predict(images)) == ["clean", "mixed"]


def test_what_mixmatch_would_not_call_is_refused():
    """By kinds, MixMatch mixes by Mixup and adds decoupled terms: no other policy, no other objective."""
    batch = make_loader(Method("mixmatch")).batch(0)
    with pytest.raises(DmixError, match="decoupled terms of an objective, and this one has none"):
        make_task(Method("mixmatch", "+mixup")).losses(batch, step_at(9))
    make_task(Method("mixmatch", "+mixup", own=(("dm", "batches"),))).losses(batch, step_at(9))
    cutmix = CutMix(alpha=1.0)
    given = Ingredients(
        resnet(),
        cutmix,
        mce,
        pixels=lambda images: images,
        recipe=recipe(),
        addon=make_addon("+dm", cutmix, **PAIRS),
    )
    own = HOSTS["mixmatch"][1]
    with pytest.raises(DmixError, match="an add-on's policy is never called, and CutMix would not be"):
        MixMatch(given, **own)
    MixMatch(given, **{**own, "dm": "batches"})


@torch.no_grad()
def test_remixmatch_is_its_formula():
    method = Method("remixmatch", own=(("ramp", 0.4),))
    task, model = make_task(method).double(), make_task(method).double()
    loader = make_loader(method)
    predicted = None
    for number in (0, 8):  # the first step has no running mean yet
        batch = doubled(loader.batch(number))
        found = task.losses(batch, step_at(number, 40))
        step = step_at(number, 40)
        weak, s1, _ = batch.unlabelled.images
        p = model.head(model.encoder(weak)).softmax(1)
        predicted = p.mean(0) if predicted is None else 0.999 * predicted + 0.001 * p.mean(0)
        torch.testing.assert_close(task.predicted, predicted, rtol=1e-12, atol=0)
        q = p / CLASSES / predicted
        q = q / q.sum(1, keepdim=True)
        q = q**2 / (q**2).sum(1, keepdim=True)
        z, targets, _, _ = mixmatch_by_hand(model, batch, step, 0.75, 3, q, first=1)
        rows = -(targets * z.log_softmax(1)).sum(1)
        turns = step.draws.host.integers(4, size=ROWS).tolist()
        turned = torch.stack([torch.rot90(x, k, (1, 2)) for x, k in zip(s1, turns, strict=True)])
        rotated = model.rotation_head(model.encoder(turned))
        ramp = number / 16
        expected = {
            "ce": rows[:ROWS].mean(),
            "match": 1.5 * ramp * rows[ROWS:].mean(),
            "strong": 0.5 * ramp * -(q * model.head(model.encoder(s1)).log_softmax(1)).sum(1).mean(),
            "rotation": 0.5 * functional.cross_entropy(rotated, torch.tensor(turns)),
        }
        assert list(found) == list(expected)
        for name, value in expected.items():
            assert found[name].item() == pytest.approx(value.item(), rel=1e-6), name
    assert len(set(turns)) > 1


def test_ramps_are_shares_of_the_run_however_long_it_is():
    for host, name, full in (
        ("pseudo_label", "pseudo", 0.4),
        ("mixmatch", "squared", 0.4),
        ("remixmatch", "match", 1 / 64),
        ("remixmatch", "strong", 1 / 64),
    ):
        method = Method(host)
        batch = make_loader(method).batch(0)
        found = {}
        for total in (6400, 640_000):
            for done in (0.0, full / 4, full / 2, full, 1.0):
                losses = make_task(method).losses(batch, step_at(int(done * total), total))
                found[total, done] = losses[name].item()
        for total in (6400, 640_000):
            shares = [found[total, done] / found[total, full] for done in (0.0, full / 4, full / 2, 1.0)]
            assert shares[0] == 0
            assert shares[1:] == pytest.approx([0.25, 0.5, 1.0], rel=1e-5)


@pytest.mark.parametrize("method", [Method("fixmatch", "+dm"), Method("mixmatch", "+dm"), BATCHES], ids=str)
def test_classifiers_have_a_rate_of_their_own_and_vectors_no_decay(method):
    trainer = make_trainer(method, head_lr_factor=10.0)
    trainer.train_step()
    task = trainer.method
    heads = [task.head, *([task.addon.own] if task.addon else [])]
    fast = {id(p) for head in heads for p in head.parameters()}
    for group in trainer.optimizer.param_groups:
        for parameter in group["params"]:
            assert group["lr"] == pytest.approx(0.3 if id(parameter) in fast else 0.03)
            assert group["weight_decay"] == (0 if parameter.ndim == 1 else 5e-4)
    held = {id(p) for group in trainer.optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in task.parameters() if p.requires_grad}
    state = trainer.average.state_dict()
    assert set(state) == {name for name, p in task.named_parameters() if p.requires_grad}


def feeding(labels, ratio=3, **changes):
    settings = recipe(unlabelled_ratio=ratio)
    augments = {"augment": Identity(), "strong": Identity()}
    return replace(
        Feeding(dataset().splits["train"], labels, augments, settings, 3, ReadOptions(), CPU, slice(None)),
        **changes,
    )


def split(labelled, unlabelled):
    return label_split(dataset(), np.array(labelled), np.array(unlabelled))


@pytest.mark.parametrize("host", HOSTS)
def test_loaders_have_the_views_that_methods_read(host):
    task = make_task(Method(host))
    loader = task.loader(feeding(split(range(8), range(IMAGES)), HOSTS[host][2]))
    batch = loader.batch(5)
    assert len(batch.labelled.images) == 1
    assert batch.labelled.images[0].shape == (ROWS, 3, 8, 8)
    assert batch.labelled.index.max() < 8
    if host == "supervised_only":
        assert batch.unlabelled is None
    else:
        assert len(batch.unlabelled.images) == len(HOSTS[host][0].unlabelled)
        assert len(batch.unlabelled.labels) == HOSTS[host][2] * ROWS
        assert batch.unlabelled.index.max() >= 8
    losses = task.losses(batch, step_at(1))
    assert all(loss.isfinite() and loss.ndim == 0 for loss in losses.values())


@pytest.mark.parametrize("host", [host for host in HOSTS if host != "supervised_only"])
def test_without_unlabelled_images_methods_that_read_them_are_refused(host):
    task = make_task(Method(host))
    for given in (feeding(None), feeding(split(range(8), range(IMAGES)), ratio=0)):
        with pytest.raises(DmixError, match="needs unlabelled images, but its recipe has none"):
            task.loader(given)


def test_a_view_without_an_augmentation_is_refused():
    given = feeding(split(range(8), range(IMAGES)), augments={"augment": Identity()})
    make_task(Method("mixmatch")).loader(given)
    with pytest.raises(DmixError, match="strong"):
        make_task(Method("fixmatch")).loader(given)


def test_flexmatch_wants_all_images_to_be_unlabelled():
    with pytest.raises(DmixError, match="32 of 40 are unlabelled"):
        make_task(Method("flexmatch")).loader(feeding(split(range(8), range(8, IMAGES))))
    make_task(Method("fixmatch")).loader(feeding(split(range(8), range(8, IMAGES))))


def test_remixmatch_aligns_with_the_frequencies_of_the_labels():
    task = make_task(Method("remixmatch"))
    assert task.wanted.tolist() == [0.25] * CLASSES
    rows = [0, 4, 8, 1]  # of classes 0, 0, 0 and 1
    assert LABELS[rows].tolist() == [0, 0, 0, 1]
    task.loader(feeding(split(rows, range(IMAGES))))
    assert task.wanted.tolist() == [0.75, 0.25, 0, 0]
    batch = make_loader(Method("remixmatch")).batch(0)
    assert all(loss.isfinite() for loss in task.losses(batch, step_at(0)).values())


@pytest.mark.parametrize("host", ["supervised_only", "pseudo_label", "remixmatch"])
def test_methods_without_a_place_for_mixed_batches_refuse_them(host):
    with pytest.raises(DmixError, match="no place for mixed batches"):
        make_task(Method(host, "+dm"))


def test_passes_together_and_apart_are_the_encoders():
    task = make_task(Method("fixmatch"))
    one, two = torch.randn(3, 3, 8, 8), torch.randn(5, 3, 8, 8)
    joint = passes.together(task.encoder, (one, two))
    assert [len(part) for part in joint] == [3, 5]
    assert torch.equal(torch.cat(list(joint)), task.encoder(torch.cat([one, two])))
    assert torch.equal(passes.together(task.encoder, (one,))[0], task.encoder(one))
    assert not torch.equal(joint[0], passes.apart(task.encoder, one, freeze=True))
    norm_free = torch.nn.Flatten()
    rows = torch.randn(15, 3, 2, 2)
    assert torch.equal(dealt_out(norm_free, rows, 5), rows.flatten(1))


@pytest.mark.parametrize("method", [*TABLE_7, BATCHES], ids=str)
def test_losses_are_float32_in_mixed_precision(method):
    task, batch = make_task(method), make_loader(method).batch(0)
    single = numbers(make_task(method).losses(batch, step_at(9)))
    with torch.autocast("cpu", torch.bfloat16):
        assert task.head(task.encoder(batch.labelled.images[0])).dtype == torch.bfloat16
        found = make_task(method).losses(batch, step_at(9))
    assert {loss.dtype for loss in found.values()} == {torch.float32}
    for name, loss in found.items():
        assert loss.item() == pytest.approx(single[name], rel=0.2, abs=0.05), name


def test_predictions_are_followed_from_the_first_batch_on():
    method = Method("remixmatch")
    task, model = make_task(method), make_task(method)
    weak = make_loader(method).batch(0).unlabelled.images[0]
    task.losses(make_loader(method).batch(0), step_at(0))
    assert torch.equal(task.predicted, follow(None, probabilities(model.look(weak)), 0.999))
