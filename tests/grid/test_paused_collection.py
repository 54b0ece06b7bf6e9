"""The search for garbage pauses in a block, and goes on after it, however it ends."""

from __future__ import annotations

import gc

import pytest

from dmix.grid.paused_collection import paused_collection


@pytest.fixture(params=[True, False])
def searched(request):
    before = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if before else gc.disable)()


def test_the_search_is_paused_in_a_block_and_then_as_it_was(searched):
    with paused_collection():
        assert not gc.isenabled()
        with paused_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled() == searched


def test_it_goes_on_after_an_error_in_a_decorated_function(searched):
    @paused_collection()
    def fail():
        assert not gc.isenabled()
        raise KeyError("here")

    for _ in range(2):
        with pytest.raises(KeyError, match="here"):
            fail()
        assert gc.isenabled() == searched
