"""What each of the processes of test_distributed.py does: the same runs, of four shards."""

from __future__ import annotations

import copy
import functools
import multiprocessing
import os
import socket

import torch

from dmix.backbones.sync_batchnorm import synchronise
from dmix.engine.distributed import here, joined
from dmix.errors import DmixError
from dmix.policies.automix import AutoMix
from dmix.policies.cutmix import CutMix
from dmix.policies.fmix import FMix
from dmix.policies.manifoldmix import ManifoldMix
from dmix.policies.mixup import Mixup
from dmix.policies.puzzlemix import PuzzleMix
from dmix.policies.samix import SAMix
from dmix.policies.vanilla import Vanilla
from small_runs import RECIPES, make_task, make_trainer, norm_free, recipe, with_norms

SHARDS = 4
STEPS = 5
LEARNED = {
    "alpha": 2.0,
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
# A shard may be within the margin while another is not.
SAMIX = LEARNED | {"lam_residual": 0.25, "margin": 0.35, "alpha": 1.0, "dropout": 0.2}
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


def settings(**changes):
    return recipe(**{"batch_size": 16, "shards": SHARDS, "epochs": 2, **changes})


def synchronised():
    """A network whose batch norms see the images of all shards."""
    model = with_norms()
    synchronise(model)
    return model


def joint(policy, **changes):
    """A trainer of such a network."""
    return trainer(settings(sync_batchnorm=True, **changes), make_task(synchronised(), policy))


def trainer(given, task=None):
    return make_trainer(given, task, n=48)


RUNS = {
    "vanilla": lambda: trainer(settings(clip_norm=0.2)),
    "adamw": lambda: trainer(settings(**RECIPES["adamw"]), make_task(norm_free(dropout=0.3))),
    "mixup": lambda: trainer(settings(ema=0.9), make_task(with_norms(), Mixup(alpha=1.0))),
    "cutmix": lambda: trainer(settings(), make_task(with_norms(), CutMix(alpha=1.0, derangement=True))),
    "fmix": lambda: trainer(settings(), make_task(with_norms(), FMix(alpha=1.0, decay=3.0))),
    "manifoldmix": lambda: trainer(
        settings(), make_task(with_norms(), ManifoldMix(alpha=1.0, layers=(0, 1)))
    ),
    "puzzlemix": lambda: trainer(settings(), make_task(with_norms(), PuzzleMix(**PUZZLEMIX))),
    "automix": lambda: trainer(settings(), make_task(with_norms(), AutoMix(lam_channel=False, **LEARNED))),
    "samix": lambda: trainer(settings(), make_task(with_norms(), SAMix(**SAMIX))),
    "fp16": lambda: trainer(settings(**RECIPES["fp16"]), make_task(with_norms(), Mixup(alpha=1.0))),
    "bf16": lambda: trainer(settings(**RECIPES["bf16"]), make_task(with_norms(), Mixup(alpha=1.0))),
}
JOINT = {
    "joint_vanilla": lambda: joint(Vanilla()),
    "joint_mixup": lambda: joint(Mixup(alpha=1.0)),
    "joint_manifoldmix": lambda: joint(ManifoldMix(alpha=1.0, layers=(0, 1))),
    "joint_puzzlemix": lambda: joint(PuzzleMix(**PUZZLEMIX)),
    "joint_automix": lambda: joint(AutoMix(lam_channel=False, **LEARNED)),
    "joint_samix": lambda: joint(SAMix(**SAMIX)),
    "joint_bf16": lambda: joint(Vanilla(), precision="bf16"),
}


def whole_run(trained):
    """The state of the first process after a run, which is the state of all, and its history."""
    assert trained.run(lambda _: True)
    state = trained.state_dict()
    return {key: state[key] for key in ("method", "average", "generators", "history")}


def stopped(name):
    """The state after half of a run."""
    trained = (RUNS | JOINT)[name]()
    trained.run(lambda one: one.step < 3)
    return trained.state_dict()


def continued(name, state):
    """What `whole_run` returns of a run that goes on from a state, which optimisers would change in place."""
    trained = (RUNS | JOINT)[name]()
    trained.load_state_dict(copy.deepcopy(state))
    return whole_run(trained)


def parameters(name):
    """The parameters of this process after a few steps."""
    trained = (RUNS | JOINT)[name]()
    trained.method.train()
    for _ in range(STEPS):
        trained.train_step()
    return {key: value.detach().clone() for key, value in trained.method.named_parameters()}


def one_batch():
    """The accuracy on a test split of a single batch, which the first process alone has."""
    trained = make_trainer(settings(epochs=1), n=48, tests=3)
    trained.run(lambda _: True)
    return [row["top1_model"] for row in trained.history]


def refusals():
    found = {}
    attempts = {
        "lead": lambda: here().lead(functools.partial(fail, "only the first can")),
        "rows": lambda: here().rows(here().size + 1),
        "shards": lambda: trainer(settings(shards=1)),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
        except (DmixError, SystemExit) as error:
            found[name] = (type(error).__name__, str(error))
    return found


def fail(message):
    raise DmixError(message, exit_code=3)


def shared(names, states):
    """Everything that this process has to show.

    names: the runs that it takes part in. states: name -> the state of a run that one process stopped.
    """
    with joined("cpu") as world:
        found = {
            "world": (world.rank, world.size),
            "runs": {name: whole_run((RUNS | JOINT)[name]()) for name in names},
            "parameters": {name: parameters(name) for name in states},
            "stopped": {name: stopped(name) for name in states},
            "continued": {name: continued(name, state) for name, state in states.items()},
            "one_batch": one_batch(),
            "agree": world.agree(world.rank, 5 - world.rank, 0),
            "gather": world.gather({"rank": world.rank}),
            "lead": world.lead(lambda: ["work of", world.rank]),
            "refusals": refusals(),
        }
    found["after"] = (here().rank, here().size)
    return found


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def become(rank, size, port, names, states, folder):
    """Be one of the processes as torchrun would start it, but with everything imported."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.save(shared(names, states), folder / f"{rank}.pt")


def together(size, names, states, folder):
    """What each of `size` processes shows, in the order of their ranks."""
    port = free_port()
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=become, args=(rank, size, port, names, states, folder)) for rank in range(size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(400)
    assert [process.exitcode for process in processes] == [0] * size
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(size)]
