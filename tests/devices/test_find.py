"""The devices of a machine, by a stand-in for nvidia-smi that prints what the real one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmix.devices.find import Device, find_devices, list_cards
from dmix.errors import DmixError

A, B, C = (f"GPU-{letter * 8}-0000-1111-2222-333333333333" for letter in "abc")
M, N = (f"MIG-{number}7384736-a75d-5afc-978f-d2f1294409fd" for number in "12")
LISTED = f"""GPU 0: NVIDIA A100-SXM4-40GB (UUID: {A})
GPU 1: NVIDIA A100-SXM4-40GB (UUID: {B})
  MIG 3g.20gb     Device  0: (UUID: {M})
  MIG 1c.2g.10gb  Device  1: (UUID: {N})
GPU 2: NVIDIA H100 80GB HBM3 (UUID: {C})
"""


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs, which are all that is found; nvidia-smi lists three GPUs, one of them divided."""
    (tmp_path / "list").write_text(LISTED)
    program(tmp_path, f'test "$1" = -L && while read -r line; do echo "$line"; done < {tmp_path}/list')
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


def program(folder: Path, script: str) -> None:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\nIFS=\n{script}\n")
    path.chmod(0o755)


def names(wanted: str) -> list[str]:
    return [device.name for device in find_devices(wanted)]


def test_all_are_gpus_and_the_instances_of_divided_ones():
    assert find_devices("all") == (
        Device(A, "NVIDIA A100-SXM4-40GB"),
        Device(M, "NVIDIA A100-SXM4-40GB MIG 3g.20gb"),
        Device(N, "NVIDIA A100-SXM4-40GB MIG 1c.2g.10gb"),
        Device(C, "NVIDIA H100 80GB HBM3"),
    )


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("0", [A]),
        ("2,0", [C, A]),
        (" 2 , 0 ,", [C, A]),
        ("1", [M, N]),
        (A, [A]),
        ("GPU-aaaa,GPU-cc", [A, C]),
        (B, [M, N]),
        (f"{N},0", [N, A]),
        ("cpu:0,cpu:3", ["cpu:0", "cpu:3"]),
    ],
)
def test_one_name_for_one_device(wanted, expected):
    assert names(wanted) == expected


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("3", "there is no device '3'"),
        ("GPU-", "GPU- is the beginning of 3 devices"),
        ("GPU-d", "there is no device 'GPU-d'"),
        ("cuda", "there is no device 'cuda'"),
        ("0,all", "there is no device 'all'"),
        ("0,GPU-aaaa", f"has {A} twice"),
        (f"1,{M}", f"has {M} twice"),
        ("cpu:0,cpu:0", "has cpu:0 twice"),
        ("cpu:0,0", "GPUs and slots on the CPU"),
        (",", "the list of devices is empty"),
    ],
)
def test_what_is_refused(wanted, message):
    with pytest.raises(DmixError) as caught:
        find_devices(wanted)
    assert message in caught.value.message
    assert caught.value.way_out


@pytest.mark.parametrize(("visible", "expected"), [("2,0", [C, A]), (A, [A]), ("2,-1,0", [C]), ("1", [M, N])])
def test_cuda_visible_devices_limits_all(monkeypatch, visible, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert names("all") == expected


@pytest.mark.parametrize("visible", ["", "-1"])
def test_cuda_visible_devices_may_hide_all(monkeypatch, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(DmixError, match="CUDA_VISIBLE_DEVICES hides all GPUs"):
        find_devices("all")


def test_cuda_visible_devices_limits_names_too(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    assert names("2") == [C]
    with pytest.raises(DmixError, match=f"CUDA_VISIBLE_DEVICES=0,2 hides {M}, {N}"):
        find_devices("0,1")


def test_without_nvidia_smi_names_are_taken_as_they_are(machine, monkeypatch):
    (machine / "nvidia-smi").unlink()
    assert list_cards() == ()
    assert names(f"0,{B}") == ["0", B]
    with pytest.raises(DmixError, match="nvidia-smi lists no GPU"):
        find_devices("all")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert names("all") == ["0", "1"]


def test_a_driver_that_fails_is_told(machine):
    program(machine, "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    with pytest.raises(DmixError, match="Driver/library version mismatch"):
        find_devices("all")
    assert names("cpu:0") == ["cpu:0"]  # which nobody has to ask about
