"""A specification from its record is the one that the parameter files gave."""

from __future__ import annotations

import json

import pytest

from dmix.errors import DmixError
from dmix.grid.code import code_digest
from dmix.grid.equivalent import Equivalences, Line
from dmix.grid.rebuilt import rebuilt
from project import real_grid

EACH = 40  # runs of a grid come in the order of its cells


def recorded(spec):
    return json.loads(json.dumps(spec.identity()))


def samples():
    """Of each method and data set one run, and every fortieth of all."""
    grid = real_grid("smoke")
    first = {
        (spec.axes["method"], spec.axes["dataset"], spec.axes.get("addon")): name
        for name, spec in grid.runs.items()
    }
    return grid, sorted({*first.values(), *list(grid.runs)[::EACH]})


def test_settings_name_and_digests_are_those_of_the_grid():
    grid, names = samples()
    assert len(names) > 40
    for name in names:
        spec = grid.runs[name]
        found = rebuilt(name, recorded(spec))
        assert found.settings == spec.settings, name
        assert (found.name, found.task, found.seed) == (name, spec.task, spec.seed)
        assert (found.digest(), code_digest(found)) == (spec.digest(), code_digest(spec))
        assert (found.source is None, found.relation is None) == (spec.source is None, spec.relation is None)
        if spec.source is not None:
            assert found.source.name == spec.source.name
        if spec.relation is not None:
            assert found.relation.settings == spec.relation.settings


def test_a_part_that_was_renamed_is_found_under_its_new_name(monkeypatch):
    """Records have the first name of a part (reference/equivalent.csv)."""
    grid = real_grid("smoke")
    name = "supervised/cifar10/resnet18/cutmix/dm_ce/s0"
    line = Line("policy.use", "policy.use=cutmix", "policy.use=patches", "", "", "")
    known = Equivalences({line.new: line})
    for module in ("rebuilt", "spec", "identity"):
        monkeypatch.setattr(f"dmix.grid.{module}.equivalences", lambda: known)
    spec = grid.runs[name]
    assert spec.identity()["policy"]["use"] == "patches"
    assert rebuilt(name, recorded(spec)).settings == spec.settings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda spec: spec["policy"].update(use="ghost"), "needs policy 'ghost', which is not here"),
        (lambda spec: spec["recipe"].update(future=1), "settings that are not known here: recipe.future"),
        (lambda spec: spec.update(future={"use": "x"}), "settings that are not known here: future"),
        (
            lambda spec: spec["recipe"].update(ema=0.0),
            "mean something else here: recipe.ema: 0.0 -> its neutral",
        ),
        (
            lambda spec: spec.update(source=spec.copy()),
            "its record has a source, but recipe.init names no run",
        ),
    ],
)
def test_a_record_that_means_something_else_here_is_refused(change, message):
    name = "supervised/cifar10/resnet18/cutmix/dm_ce/s0"
    spec = recorded(real_grid("smoke").runs[name])
    change(spec)
    with pytest.raises(DmixError) as caught:
        rebuilt(name, spec)
    assert message in caught.value.message
    assert "the release of dmix that made the record" in caught.value.way_out


def test_a_name_that_is_none_of_a_run_is_refused():
    with pytest.raises(DmixError, match="'cub/s0' is no name of a run"):
        rebuilt("cub/s0", {"seed": 0})
