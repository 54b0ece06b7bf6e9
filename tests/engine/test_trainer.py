"""Clipping, precision, warm-up and the state of a run, step by step."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dmix.backbones.parameter_group import ParameterGroup
from dmix.engine.precision import autocast, gradient_scaler
from dmix.engine.schedules.contract import Progress
from dmix.engine.schedules.cosine import cosine
from dmix.errors import DmixError
from dmix.job import checkpoint
from dmix.objectives.mce import mce
from dmix.policies.automix import AutoMix
from dmix.policies.mixup import Mixup
from dmix.policies.samix import SAMix
from dmix.policies.vanilla import Vanilla
from several_processes import LEARNED as COMMON
from several_processes import SAMIX
from small_runs import (
    CPU,
    RECIPES,
    differences,
    loader_for,
    make_task,
    make_trainer,
    norm_free,
    recipe,
    values,
    with_norms,
)

LEARNED = {"automix": (AutoMix, COMMON | {"lam_channel": False}), "samix": (SAMix, SAMIX)}


@pytest.mark.parametrize("kind", LEARNED)
def test_a_mixer_without_warm_up_begins_at_its_full_rate(kind):
    """The rates of a whole run of 9 steps; the encoder's grows in the first 3 from 1e-5 of itself."""
    part, settings = LEARNED[kind]
    schedule = {"warmup_epochs": 1, "warmup_start": 1e-5}

    def rates(**changes):
        task = make_task(with_norms(), part(**settings, **changes))
        found = []
        trainer = make_trainer(recipe(epochs=3, schedule=schedule), task)
        assert trainer.run(lambda one: not found.append([g["lr"] for g in one.optimizer.param_groups]))
        return zip(*found, strict=True)

    factors = [(1 + math.cos(math.pi * step / 9)) / 2 for step in range(9)]
    shares = [1 - (1 - min(step, 3) / 3) * (1 - 1e-5) for step in range(9)]
    mixer = [0.05 + 0.05 * factor for factor in factors]
    warmed = [rate * share for rate, share in zip(mixer, shares, strict=True)]
    for changes, expected in (({}, warmed), ({"mixer_warmup": False}, mixer)):
        encoders, mixers = rates(**changes)
        assert encoders == pytest.approx([0.1 * f * s for f, s in zip(factors, shares, strict=True)])
        assert mixers == pytest.approx(expected)


class Separate(Vanilla):
    """A policy whose one parameter is optimised in a way of its own."""

    def __init__(self, settings):
        super().__init__()
        self.own = nn.Parameter(torch.tensor(2.0))
        self.settings = settings

    def mix(self, images, labels, draws, context):
        mixed = super().mix(images, labels, draws, context)
        object.__setattr__(mixed, "losses", {"own": self.own**2})
        return mixed

    def parameter_groups(self):
        return [ParameterGroup((self.own,), self.settings)]


@pytest.mark.parametrize("name", RECIPES)
def test_stopped_and_continued_it_ends_bit_identical(name, tmp_path):
    def trainer():
        return make_trainer(recipe(**RECIPES[name]), make_task(norm_free(dropout=0.3), Mixup(alpha=1.0)))

    whole = trainer()
    assert whole.run(lambda _: True)
    first = trainer()
    assert not first.run(lambda one: one.step < 2)
    checkpoint.save(tmp_path / "checkpoint.pt", {"trainer": first.state_dict()})
    state = checkpoint.load(tmp_path / "checkpoint.pt", CPU)
    second = trainer()
    second.load_state_dict(state["trainer"])
    assert second.run(lambda _: True)
    assert differences(whole.state_dict(), second.state_dict()) == []
    assert differences(whole.state_dict(), first.state_dict()) != []
    assert math.isfinite(whole.last_loss)


@pytest.mark.parametrize("name", sorted(set(RECIPES) - {"sgd"}))
def test_every_recipe_changes_the_run(name):
    runs = {key: make_trainer(recipe(**RECIPES[key])) for key in ("sgd", name)}
    for trainer in runs.values():
        trainer.train_step()
        trainer.train_step()
    assert differences(values(runs["sgd"].method), values(runs[name].method)) != []


def gradient_by_hand(task, settings, step=0):
    batch = loader_for(settings).batch(step)
    loss = mce(task.model(batch.images), batch.labels, batch.labels, torch.ones(8)).mean()
    return torch.autograd.grad(loss, list(task.parameters()))


@pytest.mark.parametrize("limit", [0.1, 1e6, 0.0])
def test_clipping_scales_the_whole_gradient_to_the_limit(limit):
    settings = recipe(clip_norm=limit, optimizer={"momentum": 0.0}, weight_decay=0.0)
    task = make_task()
    before = [p.detach().clone() for p in task.parameters()]
    gradient = gradient_by_hand(task, settings)
    norm = math.sqrt(sum(float((g.double() ** 2).sum()) for g in gradient))
    assert 0.1 < norm < 1e6
    scale = 0.1 / norm if limit == 0.1 else 1.0
    make_trainer(settings, task).train_step()
    for parameter, start, grad in zip(task.parameters(), before, gradient, strict=True):
        torch.testing.assert_close(parameter, start - 0.1 * scale * grad, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_limit_is_on_the_gradient_and_not_on_its_scaled_form(precision):
    settings = recipe(precision=precision, clip_norm=0.1, optimizer={"momentum": 0.0}, weight_decay=0.0)
    task = make_task()
    before = nn.utils.parameters_to_vector(task.parameters()).detach().clone()
    make_trainer(settings, task).train_step()
    step = nn.utils.parameters_to_vector(task.parameters()).detach() - before
    assert float(step.norm()) == pytest.approx(0.1 * 0.1, rel=1e-4)


def test_the_norm_is_of_all_groups_together():
    settings = recipe(clip_norm=0.05, optimizer={"momentum": 0.0}, weight_decay=0.0, no_decay="vectors")
    task = make_task(policy=Separate({"lr": 0.2}))
    trainer = make_trainer(settings, task)
    trainer.train_step()
    clipped = math.sqrt(sum(float((p.grad.double() ** 2).sum()) for p in task.parameters()))
    assert clipped == pytest.approx(0.05, rel=1e-4)
    assert len(trainer.groups) == 3


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_step_computes_in_its_precision_and_keeps_parameters_and_evaluations_in_float32(precision):
    task = make_task()
    trainer = make_trainer(recipe(precision=precision, epochs=1), task)
    seen = {"train": set(), "test": set()}

    def note(module, arguments, output):
        seen["train" if module.training else "test"].add(output.dtype)

    task.model.head[1].register_forward_hook(note)
    assert trainer.run(lambda _: True)
    half = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    assert seen == {"train": {half}, "test": {torch.float32}}
    assert {p.dtype for p in task.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in task.parameters()} == {torch.float32}


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_float32_to_its_rounding(precision):
    """One step of plain SGD from the same weights: the step itself is the gradient."""
    steps = {}
    for name in ("fp32", precision):
        task = make_task()
        before = nn.utils.parameters_to_vector(task.parameters()).detach().clone()
        make_trainer(recipe(precision=name, weight_decay=0.0, optimizer={"momentum": 0.0}), task).train_step()
        steps[name] = nn.utils.parameters_to_vector(task.parameters()).detach() - before
    error = (steps[precision] - steps["fp32"]).norm() / steps["fp32"].norm()
    assert 1e-6 < error < {"bf16": 3e-2, "fp16": 4e-3}[precision]


def test_the_scale_of_float16_is_in_the_state():
    trainer = make_trainer(recipe(precision="fp16"))
    trainer.train_step()
    trainer.scaler.update(new_scale=1024.0)
    state = trainer.state_dict()
    assert state["scaler"]["scale"] == 1024.0
    other = make_trainer(recipe(precision="fp16"))
    other.load_state_dict(state)
    other.train_step()
    assert other.scaler.get_scale() == 1024.0
    assert make_trainer(recipe(precision="bf16")).state_dict()["scaler"] == {}


def test_a_step_whose_gradient_overflows_is_skipped_and_halves_the_scale():
    task = make_task()
    trainer = make_trainer(recipe(precision="fp16", clip_norm=1.0), task)
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**60)
    before = values(task)
    trainer.train_step()
    assert differences(before, values(task)) == []
    assert trainer.scaler.get_scale() == 2.0**59


def test_the_scaler_does_nothing_without_float16():
    assert gradient_scaler("fp16", CPU).is_enabled()
    for precision in ("fp32", "bf16"):
        assert not gradient_scaler(precision, CPU).is_enabled()
        loss = torch.tensor(3.0, requires_grad=True)
        assert gradient_scaler(precision, CPU).scale(loss) is loss
    with autocast("fp32", CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_rates_of_a_run_and_of_a_group():
    schedule = {"warmup_epochs": 1, "warmup_start": 0.25, "lr_end": 0.01}
    task = make_task(policy=Separate({"lr": 0.4, "lr_end": 0.2, "warmup_epochs": 0}))
    trainer = make_trainer(recipe(schedule=schedule), task)
    total, warm = 6, 3
    found = []
    while trainer.step < trainer.total:
        trainer.train_step()
        found.append([group["lr"] for group in trainer.optimizer.param_groups])
    for step, (recipes_own, own) in enumerate(found):
        share = min(1.0, 0.25 + 0.75 * step / warm)
        assert recipes_own == pytest.approx(
            share * cosine(0.1, Progress(step, total, 3), lr_end=0.01), rel=1e-12
        )
        assert own == cosine(0.4, Progress(step, total, 3), lr_end=0.2)


@pytest.mark.parametrize(
    "own", [{"lr_end": 0.2}, {"lr_end": 0.2, "momentum": 0.5, "beta2": 0.5, "unknown": 1.0}]
)
def test_settings_of_a_group_that_the_parts_do_not_have_change_nothing(own):
    """AutoMix says where the rate of its mixer ends, whatever schedule it is used with."""
    schedule = {"use": "multistep", "milestones": [2, 4], "lr_decay": 0.5}
    task = make_task(policy=Separate({"lr": 0.4, **own}))
    trainer = make_trainer(recipe(schedule=schedule), task)
    found = []
    while trainer.step < trainer.total:
        trainer.train_step()
        found.append([group["lr"] for group in trainer.optimizer.param_groups])
    assert found == [[0.1 * share, 0.4 * share] for share in (1, 1, 0.5, 0.5, 0.25, 0.25)]
    assert [group["momentum"] for group in trainer.optimizer.param_groups] == [0.9, own.get("momentum", 0.9)]


def test_history_and_message_have_the_warmed_up_rate():
    settings = recipe(schedule={"warmup_epochs": 1, "warmup_start": 0.25}, epochs=2)
    trainer = make_trainer(settings)
    assert trainer.run(lambda _: True)
    assert trainer.history[0]["lr"] == pytest.approx(0.75 * cosine(0.1, Progress(2, 6, 3)), rel=1e-12)
    assert trainer.history[1]["lr"] == cosine(0.1, Progress(5, 6, 3))

    def broken(*rows):
        return mce(*rows) * float("nan")

    trainer = make_trainer(settings, make_task(objective=broken))
    with pytest.raises(DmixError, match=r"not finite at step 0 of 6 \(lr 0\.025\)"):
        trainer.run(lambda _: True)
