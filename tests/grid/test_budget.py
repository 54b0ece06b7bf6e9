"""The choice of what to run next, the speed of GPUs, and named selections."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dmix.errors import DmixError
from dmix.grid.budget import choose
from dmix.grid.cost import measured_seconds, seconds
from dmix.grid.gpus import HEADER, read_gpu
from dmix.grid.select import selected, selection_path, write_selection
from project import ROOT, real_grid


def brute_force(needs, hours, budget):
    """The most claims, and the least hours for as many, over all subsets."""
    best = (0, 0.0)
    for size in range(len(needs) + 1):
        for claims in itertools.combinations(needs, size):
            cost = sum(hours[run] for run in set().union(*(needs[claim] for claim in claims)))
            if cost <= budget + 1e-9:
                best = max(best, (size, -cost))
    return best[0], -best[1]


@pytest.mark.parametrize("seed", range(12))
def test_the_choice_is_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    hours = {f"r{i}": float(rng.integers(1, 9)) / 2 for i in range(10)}
    needs = {
        f"c{i}": frozenset(rng.choice(list(hours), size=int(rng.integers(1, 5)), replace=False).tolist())
        for i in range(7)
    }
    for budget in (0.0, 2.0, 6.5, 11.0, 100.0):
        found = choose(needs, hours, budget)
        count, cost = brute_force(needs, hours, budget)
        assert len(found.steps) == count
        assert found.hours == pytest.approx(cost)
        assert found.hours <= budget
        assert set(found.runs) == set().union(*(needs[step.claim] for step in found.steps))
        assert len(found.runs) == len(set(found.runs))
        assert {*found.left_out, *(step.claim for step in found.steps)} == set(needs)


def test_a_greedy_choice_would_be_worse():
    """The cheapest claim by itself is not part of the optimum, for two others share their runs."""
    needs = {"cheap": {"a"}, "one": {"b", "c"}, "two": {"b", "c"}, "three": {"b", "d"}}
    hours = {"a": 3.0, "b": 2.5, "c": 2.0, "d": 0.5}
    found = choose(needs, hours, 5.0)
    assert [step.claim for step in found.steps] == ["three", "one", "two"]
    assert [step.hours for step in found.steps] == [3.0, 2.0, 0.0]
    assert found.runs == ("b", "d", "c")
    assert found.left_out == {"cheap": 3.0}


def test_nothing_to_decide():
    assert choose({}, {}, 10.0).steps == ()


@pytest.mark.parametrize(("tier", "name", "factor"), [
    ("day", "supervised/cifar100/resnet18/mixup/mce/s0", 4.9),  # bf16
    ("full", "supervised/cifar100/resnet18/mixup/mce/s0", 3.4),  # fp32
    ("full", "supervised/imagenet/resnet50/rsb/dm_bce/s0", 4.9),  # fp16
])  # fmt: skip
def test_a_gpu_divides_the_estimate(tier, name, factor):
    grid, gpu = real_grid(tier), read_gpu("h100", ROOT / "reference/gpus.csv")
    assert gpu.seconds(grid, name, {}) == pytest.approx(seconds(grid, name, {}) / factor)


def test_what_was_measured_and_constants_stay(tmp_path, monkeypatch):
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    gpu, smoke, full = read_gpu("h100", ROOT / "reference/gpus.csv"), real_grid("smoke"), real_grid("full")
    name = "supervised/cifar100/resnet18/mixup/mce/s0"
    assert gpu.seconds(smoke, name, measured_seconds(smoke)) == smoke.params.tiers["smoke"].estimate_seconds
    like = ("supervised", "cifar100", "resnet18", "mixup", 800)
    assert gpu.seconds(full, name, {like: 123.0}) == 123.0


WRONG = {
    "no such GPU": ("a100,fp32,1,assumed,x", "has no GPU 'h100'"),
    "no number": ("h100,fp32,fast,assumed,x", "the speed 'fast' is no number above 0"),
    "zero": ("h100,fp32,0,assumed,x", "the speed '0' is no number above 0"),
    "another basis": ("h100,fp32,1,guessed,x", "the basis 'guessed' is none of measured, assumed"),
    "twice": ("h100,fp32,1,assumed,x\nh100,fp32,2,assumed,y", "h100 in fp32 is given twice"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_lines_are_named(case, tmp_path):
    lines, message = WRONG[case]
    path = tmp_path / "gpus.csv"
    path.write_text(f"{','.join(HEADER)}\n{lines}\n")
    with pytest.raises(DmixError, match=message):
        read_gpu("h100", path)


def test_a_precision_that_is_not_listed(tmp_path):
    path = tmp_path / "gpus.csv"
    path.write_text(f"{','.join(HEADER)}\nh100,fp32,2,measured,x\n")
    with pytest.raises(DmixError, match="how fast h100 is in bf16"):
        read_gpu("h100", path).seconds(real_grid("day"), "supervised/cifar100/resnet18/mixup/mce/s0", {})


def test_a_selection_is_read_as_it_was_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid = real_grid("hour")
    names = list(grid.runs)
    path = write_selection("hour", "first", ["# by hand", names[2], "", f"{names[0]} # the first"])
    assert path == selection_path("hour", "first")
    assert selected(grid, "first") == (names[0], names[2])
    write_selection("hour", "cell", ["supervised/cifar100/resnet18/mixup/dm_ce"])
    assert selected(grid, "cell") == ("supervised/cifar100/resnet18/mixup/dm_ce/s0",)
    with pytest.raises(DmixError) as caught:
        selected(grid, "second")
    assert "choose of cell, first" in str(caught.value.way_out)
    with pytest.raises(DmixError, match="cannot name a selection"):
        selection_path("hour", "../first")
    write_selection("hour", "stale", ["supervised/cifar100/resnet18/mixup/dm_cee/s0"])
    with pytest.raises(DmixError, match="no run of tier hour"):
        selected(grid, "stale")
