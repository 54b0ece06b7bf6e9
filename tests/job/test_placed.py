"""A job computes on the device that it leased, and on no other."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from dmix.cli import main
from dmix.devices.leases import tickets
from dmix.errors import DmixError
from dmix.job.options import Options
from dmix.job.placed import placed


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No nvidia-smi, and leases of this test's own; CUDA_VISIBLE_DEVICES is as before after the test."""
    monkeypatch.setenv("DMIX_LEASES", str(tmp_path / "leases"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")


def test_cuda_is_shown_the_leased_gpu_alone(capsys, monkeypatch):
    with placed(Options(devices="6,7"), "first") as first:
        assert (first.device, os.environ["CUDA_VISIBLE_DEVICES"]) == ("cuda", "6")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")  # as in a process of its own
        with placed(Options(devices="6,7"), "second") as second:
            assert (second.device, os.environ["CUDA_VISIBLE_DEVICES"]) == ("cuda", "7")
    assert capsys.readouterr().out == "first: on 6\nsecond: on 7\n"
    assert tickets() == []


def test_a_slot_on_the_cpu_is_the_cpu():
    with placed(Options(devices="cpu:0", workers=3), "run") as options:
        assert options == Options(device="cpu", workers=3)
        assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_without_a_list_nothing_is_leased():
    with placed(Options(device="cuda"), "run") as options:
        assert options == Options(device="cuda")
        assert tickets() == []


def test_processes_of_torchrun_have_a_device_each(monkeypatch):
    """The second one comes while the first waits for it; here they are threads, which share the variables."""
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    done = threading.Event()

    def first() -> None:
        with placed(Options(devices="3,4,5"), "run"):
            done.wait(60)

    other = threading.Thread(target=first)
    other.start()
    while not tickets():
        time.sleep(0.01)
    assert [ticket.device for ticket in tickets()] == [""]
    monkeypatch.setenv("LOCAL_RANK", "1")
    with placed(Options(devices="3,4,5"), "run"):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,4"  # torch then takes the one of its local rank
        assert {(ticket.rank, ticket.device) for ticket in tickets()} == {(0, "3"), (1, "4")}
    done.set()
    other.join(60)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": "cpu", "devices": "0"}, "--device cpu and --devices 0"),
        ({"devices": "0", "per_device": 0}, "--per-device is 0"),
        ({"devices": "0", "per_device": 65}, "--per-device is 65"),
    ],
)
def test_options_out_of_range_are_refused(given, message):
    with pytest.raises(DmixError, match=message):
        Options(**given)


def test_devices_shows_who_has_what(capsys):
    pid = os.getpid()
    with placed(Options(devices="cpu:0", per_device=2), "half"):
        capsys.readouterr()
        assert main(["devices", "--devices", "cpu:0,cpu:1"]) == 0
        assert capsys.readouterr().out == f"cpu:0: half (process {pid}, 1/2 of it)\ncpu:1: free\n"
        assert main(["devices"]) == 0
        shown = capsys.readouterr().out
    assert shown.splitlines()[1:] == [f"cpu:0: half (process {pid}, 1/2 of it)"]
    assert "no GPU" in shown
