"""Whole runs by recipes that count steps: rates, rows of the history, averages, stop and resume."""

from __future__ import annotations

import pytest
import torch

from dmix.backbones.parameter_group import ParameterGroup, with_rest
from dmix.data.loading.loader import EvaluationSet
from dmix.engine.schedules.contract import Progress
from dmix.engine.schedules.cosine import cosine
from dmix.engine.schedules.cosine_7_16 import cosine_7_16
from dmix.engine.schedules.multistep import multistep
from dmix.job import checkpoint
from dmix.policies.mixup import Mixup
from small_runs import (
    CPU,
    differences,
    make_task,
    make_trainer,
    recipe,
    split,
    values,
    with_norms,
)

TOTAL, DECAY = 20, 0.75
READ, ROWS = [1, 8, 15], [1, 8, 15, 20]
SCHEDULES = {
    "multistep": {"schedule": {"use": "multistep", "milestones": (6, 13), "lr_decay": 0.1}},
    "cosine_7_16": {
        "schedule": {"use": "cosine_7_16"},
        "optimizer": {"nesterov": True},
        "no_decay": "vectors",
    },
    "cosine": {"schedule": {"use": "cosine", "lr_end": 0.001}},
}
RATES = {
    "multistep": lambda at: multistep(0.1, at, milestones=(6, 13), lr_decay=0.1),
    "cosine_7_16": lambda at: cosine_7_16(0.1, at),
    "cosine": lambda at: cosine(0.1, at, lr_end=0.001),
}
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES)


def of_steps(schedule="multistep", **changes):
    return recipe(
        **{"epochs": 0, "steps": TOTAL, "eval_every": 7, "ema": DECAY, **SCHEDULES[schedule], **changes}
    )


def trainer_of(settings, policy=None):
    """A trainer whose network has batch norms."""
    return make_trainer(settings, make_task(with_norms(), policy))


def finished(settings):
    trainer = trainer_of(settings)
    assert trainer.run(lambda _: True)
    return trainer


@every_schedule
@pytest.mark.parametrize("stop", [5, 8, 19], ids=["between evaluations", "at one", "before the end"])
def test_stopped_and_continued_it_ends_bit_identical(schedule, stop, tmp_path):
    def trainer():
        return trainer_of(of_steps(schedule), Mixup(alpha=1.0))

    whole = trainer()
    assert whole.run(lambda _: True)
    first = trainer()
    assert not first.run(lambda one: one.step < stop)
    checkpoint.save(tmp_path / "checkpoint.pt", {"trainer": first.state_dict()})
    state = checkpoint.load(tmp_path / "checkpoint.pt", CPU)
    second = trainer()
    second.load_state_dict(state["trainer"])
    assert differences(first.evaluated_state(), second.evaluated_state()) == []
    assert second.run(lambda _: True)
    assert differences(whole.state_dict(), second.state_dict()) == []
    assert differences(whole.evaluated_state(), second.evaluated_state()) == []
    assert [row["step"] for row in second.history] == ROWS


@every_schedule
@pytest.mark.parametrize("no_decay", ["nothing", "vectors"])
def test_a_group_with_a_factor_has_exactly_so_many_times_the_rate(schedule, no_decay):
    task = make_task(with_norms())
    own = ParameterGroup(tuple(task.model.head.parameters()), {"lr_factor": 10})
    task.parameter_groups = lambda: with_rest(task.parameters(), [own])
    trainer = make_trainer(of_steps(schedule, no_decay=no_decay), task)
    found = []

    def note(one):
        found.append([group["lr"] for group in one.optimizer.param_groups])
        return True

    assert trainer.run(note)
    count = 1 if no_decay == "nothing" else 2  # exempt parameters are a group of their own
    expected = [RATES[schedule](Progress(step, TOTAL, 0)) for step in range(TOTAL)]
    assert len(set(expected)) > 2
    assert found == [count * [rate] + count * [10 * rate] for rate in expected]
    assert [row["lr"] for row in trainer.history] == [expected[step - 1] for step in ROWS]


def test_the_history_has_a_row_at_each_evaluation_and_at_the_end():
    history = finished(of_steps()).history
    assert [row["step"] for row in history] == ROWS
    assert [row["step"] for row in history if any(key.startswith("top1_") for key in row)] == READ
    assert all("epoch" not in row for row in history)
    assert all(row["loss"] > 0 for row in history)


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        ({"steps": 15}, [1, 8, 15]),
        ({"eval_also": (5, 20)}, [1, 5, 8, 15, 20]),
        ({"eval_late": 1}, [1, 8, 15, 18, 19, 20]),
        ({"eval_every": 100}, [1, 20]),
    ],
)
def test_no_row_is_there_twice(changes, rows):
    assert [row["step"] for row in finished(of_steps(**changes)).history] == rows


def test_losses_of_a_row_are_means_since_the_row_before_and_evaluations_leave_no_trace():
    seldom, always = finished(of_steps()), finished(of_steps(eval_every=1))
    each = [row["loss"] for row in always.history]
    assert len(each) == TOTAL
    for start, row in zip([0, *ROWS], seldom.history, strict=False):
        part = each[start : row["step"]]
        assert row["loss"] == pytest.approx(sum(part) / len(part), rel=1e-6)
    assert differences(values(seldom.method), values(always.method)) == []
    assert differences(seldom.evaluated_state(), always.evaluated_state()) == []


def test_what_is_evaluated_are_averaged_parameters_with_the_live_statistics():
    trainer = trainer_of(of_steps())
    model = trainer.method.model
    parameters = {name for name, _ in model.named_parameters()}
    seen, expected = {}, {0: {name: value.double() for name, value in values(model).items()}}

    def note_evaluation(module, arguments):
        if not module.training:
            seen[trainer.step] = values(module)

    def note_step(one):
        before, own = expected[one.step - 1], values(model)
        expected[one.step] = {
            name: DECAY * before[name] + (1 - DECAY) * value.double() if name in parameters else value
            for name, value in own.items()
        }
        assert differences(own, seen.get(one.step, {})) != []
        return True

    model.register_forward_pre_hook(note_evaluation)
    assert trainer.run(note_step)
    assert sorted(seen) == READ
    for step, found in seen.items():
        for name, value in found.items():
            if name in parameters:
                torch.testing.assert_close(value.double(), expected[step][name], rtol=1e-5, atol=1e-6)
            else:
                assert torch.equal(value, expected[step][name])


def test_the_evaluated_state_has_the_accuracy_that_is_read():
    settings = of_steps(steps=15)
    trainer = finished(settings)
    before = values(trainer.method)
    state = trainer.evaluated_state()
    assert differences(before, values(trainer.method)) == []
    assert state.keys() == before.keys()
    trained = {name for name, _ in trainer.method.named_parameters()}
    assert {path[1:] for path in differences(before, state)} == trained

    task = make_task(with_norms()).eval()
    task.load_state_dict(state)
    feed = {"mean": settings["mean"], "std": settings["std"], "device": CPU}
    images, labels = next(iter(EvaluationSet(split(13, seed=1), batch_size=13, **feed)))
    hits = int((task.model(images).argmax(1) == labels).sum())
    reading = next(value for name, value in trainer.history[-1].items() if name.startswith("top1_"))
    assert reading == 100 * hits / 13

    trainer.train_step()
    assert differences(state, trainer.evaluated_state()) != []
    assert {value.device for value in state.values()} == {CPU}


def test_averages_change_evaluations_alone():
    with_average, without = finished(of_steps()), finished(of_steps(ema=0.0))
    assert differences(values(with_average.method), values(without.method)) == []
    assert differences(without.evaluated_state(), values(without.method)) == []
    assert without.state_dict()["average"] is None
    for one, other in zip(with_average.history, without.history, strict=True):
        assert one.keys() == other.keys()
        assert (one["loss"], one["lr"]) == (other["loss"], other["lr"])
