from __future__ import annotations

import json
from pathlib import Path

import pytest

from dmix.methods.semi import ramps

GOLDENS = json.loads(Path(__file__).with_name("semi_goldens.json").read_text())
STEPS = 2**20


def close(found: float, expected: float) -> None:
    assert found == pytest.approx(expected, rel=0, abs=1e-10)


def test_the_linear_ramp_is_the_goldens():
    for step, expected in GOLDENS["pseudo_label"]["warmup"].items():
        close(ramps.linear(int(step), 0.4 * STEPS), expected)
    close(ramps.linear(GOLDENS["mixmatch"]["step"], 0.4 * STEPS), GOLDENS["mixmatch"]["ramp"])
    for step, weights in GOLDENS["remixmatch"]["warmup_weights"].items():
        close(1.5 * ramps.linear(int(step), STEPS / 64), weights["match"])
        close(0.5 * ramps.linear(int(step), STEPS / 64), weights["kl"])
    assert ramps.linear(0, 0) == 1


@pytest.mark.parametrize("kind", ["none", "linear", "exp", "log"])
def test_signal_annealing_is_the_goldens(kind):
    for done, expected in GOLDENS["uda"]["tsa"][kind].items():
        close(ramps.signal_annealing(kind, float(done), 10), expected)
