"""Which runs a deviation concerns: all, or those with one of the entries of every key."""

import pytest

from dmix.errors import DmixError
from dmix.report.deviations import in_scope, parse_scope

RUN = dict.fromkeys(("dataset", "backbone", "policy", "objective", "method", "recipe"), "x")


def concerns(text, **axes):
    return in_scope(parse_scope(text), RUN | axes)


def test_all():
    assert concerns("all")


def test_several_entries_of_one_key():
    found = {
        name: concerns("policy=fmix|mixup", policy=name) for name in ("mixup", "fmix", "mix", "fmix|mixup")
    }
    assert found == {"mixup": True, "fmix": True, "mix": False, "fmix|mixup": False}


def test_every_key_must_hold():
    text = "policy=automix|samix & dataset=cifar10|cifar100 & recipe=cifar"
    assert parse_scope(text) == {
        "policy": ("automix", "samix"),
        "dataset": ("cifar10", "cifar100"),
        "recipe": ("cifar",),
    }
    assert concerns(text, policy="samix", dataset="cifar10", recipe="cifar")
    assert not concerns(text, policy="samix", dataset="cifar10", recipe="other")
    assert not concerns(text, policy="mixup", dataset="cifar10", recipe="cifar")
    assert not concerns(text, policy="samix", dataset="cub", recipe="cifar")


@pytest.mark.parametrize(
    "text",
    [
        *("", "everything", "seed=1", "policy=", "policy", "policy=a|", "policy=a&dataset", "all & policy=a"),
        *("policy=a & ", "policy=a & seed=1", "policy=a & policy=b", "policy=a  & dataset=b", "policy=a &"),
    ],
)
def test_what_is_no_scope(text):
    with pytest.raises(DmixError, match="is no scope") as caught:
        parse_scope(text)
    assert "recipe" in caught.value.way_out
