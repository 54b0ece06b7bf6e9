"""What a run takes of a server's devices and cores, from the settings of a profile."""

from __future__ import annotations

import argparse
from fractions import Fraction

import pytest

from dmix.arguments import parser
from dmix.devices.find import Device
from dmix.devices.server import Server
from dmix.errors import DmixError
from dmix.grid.packing import packing, read_server
from project import real_grid

SLOTS = tuple(Device(f"cpu:{number}") for number in range(3))
GPUS = (Device("GPU-a"), Device("GPU-b"))


def options_of(text: str) -> argparse.Namespace:
    return parser().parse_args(["train", "name", *text.split()])


@pytest.mark.parametrize("packed", [{}, {"a": 4}, {"a": 4, "b": 3, "c": 1}])
def test_units_are_the_shares_of_leases(packed):
    server = Server(SLOTS, packed, cores=24)
    for run in "abcd":
        share = Fraction(1, packed.get(run, 1))
        assert Fraction(server.needed(run), server.capacity) == share / len(SLOTS)
        assert Fraction(server.needed(run, 2), server.capacity) == 2 * share / len(SLOTS)
        options = options_of(server.lease(run))
        assert options.devices == "cpu:0,cpu:1,cpu:2"
        assert Fraction(1, options.per_device) == share


def test_cores_are_shared_by_all_that_run_at_a_time():
    server = Server(SLOTS, {"small": 4}, cores=24)
    assert server.share("large") == 24 // 3
    assert server.share("small") == 24 // 12
    assert Server(SLOTS, {"small": 64}, cores=2).share("small") == 1
    assert server.workers("small") == ""  # on a CPU runs read their images themselves
    assert options_of(Server(GPUS, {}, cores=64).workers("large")).workers == 16
    assert options_of(Server(GPUS, {"small": 8}, cores=64).workers("small")).workers == 4


def test_a_run_of_more_processes_than_devices_is_refused():
    with pytest.raises(DmixError, match="run: 4 processes, each with a device, on 3 devices"):
        Server(SLOTS, {}, cores=8).needed("run", 4)


def test_settings_name_devices_and_recipes():
    grid = real_grid("smoke")
    recipe = next(iter(grid.cells.values())).recipe
    assert read_server({"preload": True}, grid, 8, print) is None
    one = read_server({"devices": "cpu:0"}, grid, 8, print)
    assert one == Server(SLOTS[:1], {}, 8)
    server = read_server({"devices": ["cpu:0", "cpu:1", "cpu:2"], "packing": {recipe: 3}}, grid, 8, print)
    assert server is not None
    assert server.devices == SLOTS
    assert {name for name in grid.runs if server.packed(name) == 3} == {
        name for name, cell in grid.cells.items() if cell.recipe == recipe
    }
    assert server.units == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unheard": 2}, "names no recipe: unheard"),
        ({"imagenet": 0}, "imagenet is 0"),
        ({"imagenet": True}, "imagenet is True"),
        ({"imagenet": 65}, "imagenet is 65"),
        (2, "packing in settings.yaml of the profile is 2"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(DmixError) as caught:
        packing(settings, real_grid("smoke"), tuple, print)
    assert message in caught.value.message
    assert caught.value.way_out
