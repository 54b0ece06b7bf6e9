"""How many processes share a run: the fewest whose memory fits, or what a profile says."""

from __future__ import annotations

import pytest

from dmix.devices.find import Device
from dmix.devices.memory import DeviceKind
from dmix.devices.server import Server
from dmix.errors import DmixError
from dmix.grid import sharing
from dmix.grid.gpus import read_gpu
from dmix.grid.memory import Memories
from dmix.grid.sharing import Processes, fewest, way_out
from dmix.grid.speed import Speed, step_of, write_speeds
from project import ROOT, real_grid

CIFAR = "supervised/cifar100/resnet18/mixup/mce/s0"
RESNET = "supervised/imagenet/resnet50/mixup/mce/s0"
RSB = "supervised/imagenet/resnet50/mixup/mbce_one/s0"
H100 = "NVIDIA H100 80GB HBM3"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(sharing.GIVEN, raising=False)


def measured(name: str, mb: float, device: str = H100) -> Speed:
    step = step_of(real_grid("full").runs[name])
    return Speed(device, step, 1, "noise", 900.0, mb, 9.0, 100.0, 300.0, 99, "2.13.0", name)


@pytest.mark.parametrize(
    ("memory_mb", "gpus", "expected"),
    [
        # Of 80 GB, 68,064 MiB are there for tensors. Beside 400 MiB of state, all are shared.
        (68000, 8, (1, 1)),
        (69000, 8, (2, 2)),
        (140000, 8, (4, 4)),
        (140000, 2, (2, 4)),  # as far as the GPUs go; four would be enough
        (69000, 1, (1, 2)),
        (300000, 8, (4, None)),
    ],
)
def test_the_fewest_that_divide_the_shards_and_fit(memory_mb, gpus, expected):
    grid, gpu = real_grid("full"), read_gpu("h100")
    found = fewest(Memories(grid, gpu, [measured(RSB, memory_mb)], {}), gpu, grid.runs[RSB], gpus)
    assert (found.processes, found.enough) == expected
    assert found.fits == (found.processes == found.enough)


def test_more_devices_do_not_help_what_needs_the_memory_of_one_shard():
    grid, gpu = real_grid("full"), read_gpu("h100")
    memories = Memories(grid, gpu, [measured(RESNET, 90000.0)], {})
    found = fewest(memories, gpu, grid.runs[RESNET], 8)
    assert (found.processes, found.enough) == (1, None)
    assert "more memory" in way_out(found)
    assert "measure it" not in way_out(found)
    rsb = fewest(Memories(grid, gpu, [measured(RSB, 140000.0)], {}), gpu, grid.runs[RSB], 1)
    assert way_out(rsb) == "4 devices are enough"


def count(settings: dict[str, object], name: str, server: Server | None = None, **more: bool) -> int:
    return Processes(settings, real_grid("full"), server, print, **more)[name]


def test_a_number_in_the_settings_is_the_largest_that_is_taken():
    for wanted, expected in ((1, 1), (2, 2), (3, 2), (4, 4), (8, 4)):
        assert count({"processes": {"imagenet": wanted}, "gpu": "h100"}, RESNET) == expected
    assert count({"processes": {"cifar": 4}}, CIFAR) == 1


@pytest.mark.parametrize("processes", [None, "auto", {"rsb_a3": "auto"}, {"imagenet": 4}])
def test_without_a_number_memory_decides_where_it_is_known(processes):
    write_speeds([measured(RSB, 140000.0)])
    settings = {"processes": processes}
    assert count({**settings, "gpu": "h100"}, RSB) == 4
    assert count({**settings, "gpu": "h100"}, CIFAR) == 1
    assert count(settings, RSB) == 1  # nobody has said on which GPU


def test_on_a_server_its_own_devices_decide_and_their_number_limits(monkeypatch):
    write_speeds([measured(RSB, 140000.0), measured(RSB, 69000.0, "NVIDIA H200")])
    sizes = {H100: 80e9 / 2**20, "NVIDIA H200": 80e9 / 2**20}
    monkeypatch.setattr(
        sharing, "kinds", lambda devices: [DeviceKind(each.title, sizes[each.title]) for each in devices]
    )
    one, other = Device("GPU-a", H100), Device("GPU-b", "NVIDIA H200")
    assert count({}, RSB, Server((other,) * 4, {}, 8)) == 2
    assert count({}, RSB, Server((one,) * 4, {}, 8)) == 4
    assert count({}, RSB, Server((one, other, other, other), {}, 8)) == 4
    said: list[str] = []
    chosen = Processes({}, real_grid("full"), Server((one, one), {}, 8), said.append)
    assert chosen[RSB] == chosen[RSB] == 2
    (line,) = said
    assert line.startswith(f"{RSB} needs 68.6 GiB on each of 2 devices, more than they have")
    assert line.endswith("4 devices are enough")


def test_a_job_takes_the_gpus_that_it_was_given(monkeypatch):
    monkeypatch.setenv(sharing.GIVEN, "2")
    assert count({"gpu": "h100"}, RSB, in_job=True) == 2
    assert count({"gpu": "h100"}, CIFAR, in_job=True) == 1
    assert count({"gpu": "h100", "processes": {"rsb_a3": 4}}, RSB, in_job=True) == 4
    assert count({"gpu": "h100"}, RSB) == fewest_of_estimate()


def fewest_of_estimate() -> int:
    grid, gpu = real_grid("full"), read_gpu("h100")
    return fewest(Memories(grid, gpu, [], {}), gpu, grid.runs[RSB], 8).processes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"processes": 4}, "processes in settings.yaml of the profile is 4"),
        ({"processes": {"imagenet": 0}}, "imagenet is 0"),
        ({"processes": {"imagenet": True}}, "imagenet is True"),
        ({"processes": {"imagenet": "most"}}, "imagenet is 'most'"),
        ({"gpu": "b52"}, "has no GPU 'b52'"),
    ],
)
def test_bad_settings_are_refused_with_a_way_out(settings, message):
    with pytest.raises(DmixError) as caught:
        Processes(settings, real_grid("full"), None, print)
    assert message in caught.value.message
    assert caught.value.way_out


def test_names_that_are_no_recipe_are_told_once_and_not_by_jobs():
    said: list[str] = []
    for in_job in (False, True):
        Processes({"processes": {"imagnet": 4}}, real_grid("full"), None, said.append, in_job=in_job)
    assert said == ["processes in settings.yaml of the profile names what is no recipe here: imagnet"]
