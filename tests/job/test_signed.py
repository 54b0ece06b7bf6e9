"""A signed function is the function itself, and its signature is worked out once."""

from __future__ import annotations

import inspect

import pytest
from snakemake.common import get_function_params

from dmix.job.signed import signed


def test_snakemake_sees_the_same_parameters():
    def attempted(wildcards, attempt=1):
        return wildcards, attempt

    before = inspect.signature(attempted)
    assert signed(attempted) is attempted
    assert inspect.signature(attempted) == before
    assert get_function_params(attempted) == before.parameters
    assert attempted("a") == ("a", 1)


def test_the_signature_is_not_worked_out_again(monkeypatch: pytest.MonkeyPatch):
    function = signed(lambda wildcards: wildcards)
    own = inspect.signature(function)
    monkeypatch.setattr(inspect, "_signature_from_function", None)  # the work that is spared
    assert inspect.signature(function) is own
    with pytest.raises(TypeError):
        inspect.signature(lambda wildcards: wildcards)
