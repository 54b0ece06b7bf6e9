"""What each of the two processes of test_distributed.py does."""

from __future__ import annotations

import functools
import socket

import torch

from dmix.backbones.sync_batchnorm import synchronise
from dmix.engine.distributed import here, joined
from dmix.errors import DmixError
from dmix.policies.automix import AutoMix
from dmix.policies.mixup import Mixup
from dmix.policies.puzzlemix import PuzzleMix
from dmix.policies.samix import SAMix
from dmix.policies.vanilla import Vanilla
from small_runs import (
    RECIPES,
    differences,
    make_task,
    make_trainer,
    norm_free,
    recipe,
    values,
    with_norms,
)

STEPS = 5
CLIPPED = recipe(clip_norm=0.2, epochs=2)
AUTOMIX = {
    "alpha": 2.0,
    "lam_channel": False,
    "margin": 0.08,
    "mask_loss": "l1",
    "mask_margin": 0.0,
    "mask_weight": 0.1,
    "mask_weight_schedule": "constant",
    "momentum": 0.5,
    "momentum_end": 0.9,
    "mixer_lr": 0.1,
    "mixer_lr_end": 0.05,
    "mixer_momentum": 0.9,
}
# A process may be within the margin while the other is not.
SAMIX = {key: value for key, value in AUTOMIX.items() if key != "lam_channel"}
SAMIX |= {"lam_residual": 0.25, "margin": 0.35, "alpha": 1.0}
PUZZLEMIX = {
    "alpha": 1.0,
    "beta": 1.2,
    "gamma": 0.5,
    "eta": 0.2,
    "levels": 3,
    "max_grid_log2": 2,
    "edge_pool": 2,
    "transport_eps": 0.8,
    "transport_block": 4,
    "solver": "primal_dual",
}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def after_steps(trainer, steps=STEPS):
    trainer.method.train()
    for _ in range(steps):
        trainer.train_step()
    return values(trainer.method)


def whole_run(trainer):
    assert trainer.run(lambda _: True)
    return values(trainer.method), trainer.history


INTERRUPTED = {
    "sgd": lambda: make_task(norm_free(dropout=0.3), Mixup(alpha=1.0)),
    "adamw": lambda: make_task(norm_free(dropout=0.3), Mixup(alpha=1.0)),
    "bf16": lambda: make_task(with_norms(), Mixup(alpha=1.0)),
}


def synchronised():
    """A network whose batch norms see the images of all processes."""
    model = with_norms()
    synchronise(model)
    return model


class Watching(Vanilla):
    """Keeps the running statistics that a policy sees, such as one that measures saliency."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def mix(self, images, labels, draws, context):
        self.seen.append(torch.cat([b.flatten().float() for b in context.model.buffers()]).clone())
        return super().mix(images, labels, draws, context)


def interrupted(name):
    """What differs at the end of a run that all continued from the state of the first process."""

    def trainer():
        return make_trainer(recipe(**RECIPES[name]), INTERRUPTED[name]())

    whole = trainer()
    whole.run(lambda _: True)
    first = trainer()
    first.run(lambda one: one.step < 2)
    state = here().gather(first.state_dict())[0]
    second = trainer()
    second.load_state_dict(state)
    second.run(lambda _: True)
    return differences(whole.state_dict(), second.state_dict()), state


def refusals():
    found = {}
    attempts = {
        "lead": lambda: here().lead(functools.partial(fail, "only the first can")),
        "rows": lambda: make_trainer(recipe(batch_size=7)),
        "groups": lambda: here().share_of_groups(3),
        "state": lambda: make_trainer(recipe()).load_state_dict({"generators": [None]}),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
        except (DmixError, SystemExit) as error:
            found[name] = (type(error).__name__, str(error))
    return found


def fail(message):
    raise DmixError(message, exit_code=3)


def main():
    """Everything that this process has to show."""
    with joined("cpu") as world:
        automix = make_trainer(recipe(), make_task(with_norms(), AutoMix(**AUTOMIX)))
        puzzlemix = make_trainer(recipe(), make_task(with_norms(), PuzzleMix(**PUZZLEMIX)))
        mixup = make_trainer(CLIPPED, make_task(policy=Mixup(alpha=1.0)))
        watching = make_task(with_norms(), Watching())
        after_steps(make_trainer(recipe(), watching))
        found = {
            "world": (world.rank, world.size),
            "vanilla": after_steps(make_trainer(CLIPPED)),
            "adamw": after_steps(make_trainer(recipe(**RECIPES["adamw"]))),
            "mixup": after_steps(mixup),
            "norms": after_steps(make_trainer(recipe(), make_task(with_norms()))),
            "synchronised": after_steps(make_trainer(recipe(), make_task(synchronised()))),
            "synchronised_samix": after_steps(
                make_trainer(recipe(), make_task(synchronised(), SAMix(**SAMIX)))
            ),
            "synchronised_bf16": after_steps(
                make_trainer(recipe(precision="bf16"), make_task(synchronised())), 1
            ),
            "synchronised_run": whole_run(make_trainer(recipe(), make_task(synchronised()))),
            "norms_run": whole_run(make_trainer(recipe(), make_task(with_norms()))),
            "run": whole_run(make_trainer(CLIPPED)),
            "one_batch": whole_run(make_trainer(recipe(epochs=1), tests=3)),
            "automix": after_steps(automix),
            "puzzlemix": after_steps(puzzlemix),
            "interrupted": {name: interrupted(name) for name in INTERRUPTED},
            "statistics": watching.policy.seen,
            "draws": mixup.draws.host.random(3).tolist(),
            "agree": world.agree(world.rank, 5 - world.rank, 0),
            "gather": world.gather({"rank": world.rank}),
            "lead": world.lead(lambda: ["work of", world.rank]),
            "groups": world.share_of_groups(4),
            "refusals": refusals(),
        }
    found["after"] = (here().rank, here().size)
    return found
