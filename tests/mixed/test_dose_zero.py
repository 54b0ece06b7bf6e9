"""The comparator of the demonstration: DM(CE) with eta 0 trains as MCE does, bit for bit."""

from __future__ import annotations

from functools import partial

from dmix.objectives.dm_ce import dm_ce
from dmix.objectives.mce import mce
from dmix.policies.mixup import Mixup
from small_runs import differences, make_task, make_trainer, recipe, values, with_norms

STEPS = 4


def trained(objective):
    task = make_task(model=with_norms(), policy=Mixup(alpha=1.0), objective=objective)
    before = values(task)
    make_trainer(recipe(), task).run(lambda trainer: trainer.step < STEPS)
    return before, values(task)


def test_eta_zero_is_mce_bit_for_bit():
    before, with_mce = trained(mce)
    _, with_zero = trained(partial(dm_ce, eta=0.0))
    _, with_more = trained(partial(dm_ce, eta=0.1))
    assert differences(with_mce, with_zero) == []
    assert differences(before, with_mce) != []
    assert differences(with_mce, with_more) != []
