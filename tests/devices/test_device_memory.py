"""The memory of devices, by a stand-in for nvidia-smi, and how many processes it is enough for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dmix.devices.find import Device
from dmix.devices.memory import CONTEXT_MB, DeviceKind, has_room, kinds

A100 = "NVIDIA A100-SXM4-40GB"


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "nvidia-smi"
    path.write_text("#!/bin/sh\necho 'GPU-a, 40960'\necho 'GPU-b, 40960'\necho 'GPU-c, [N/A]'\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("cards")
def test_kinds_are_model_and_memory_each_once():
    instance = f"{A100} MIG 3g.20gb"
    devices = (Device("GPU-a", A100), Device("GPU-b", A100), Device("MIG-x", instance), Device("GPU-c", "T4"))
    assert kinds(devices) == (
        DeviceKind(A100, 40960.0),
        DeviceKind(instance, 20e9 / 2**20),
        DeviceKind("T4", None),
    )


def test_slots_on_the_cpu_share_the_memory_of_the_machine(monkeypatch):
    sizes = {"SC_PAGE_SIZE": 2**12, "SC_PHYS_PAGES": 2**22}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    assert kinds((Device("cpu:0"), Device("cpu:1"))) == (DeviceKind("cpu", 8192.0),)


def test_without_nvidia_smi_no_memory_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert kinds((Device("0"),)) == (DeviceKind("", None),)
    assert not DeviceKind("", None).is_device("")


def test_room_is_nine_tenths_and_each_process_has_a_context_on_gpus():
    # 4 x (8,616 + 600) = 36,864 = 0.9 x 40,960
    assert has_room(40960, 8616, 4)
    assert not has_room(40960, 8617, 4)
    assert DeviceKind(A100, 40960.0).has_room(36864 - CONTEXT_MB)
    assert not DeviceKind(A100, 40960.0).has_room(36865 - CONTEXT_MB)
    assert DeviceKind("cpu", 1000.0).has_room(450, 2)
    assert not DeviceKind("cpu", 1000.0).has_room(451, 2)
    assert DeviceKind(A100, None).has_room(1e9)
    assert not DeviceKind(A100, None).has_room(1.0, 2)
