"""Find the devices of this machine that runs can train on: GPUs, MIG instances, slots on the CPU.

GPUs have the names that `nvidia-smi -L` gives them (UUIDs), because numbers mean other GPUs where
CUDA_VISIBLE_DEVICES or CUDA_DEVICE_ORDER is set, and one GPU must not be leased by two names.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from dmix.errors import DmixError

ALL = "all"
VISIBLE = "CUDA_VISIBLE_DEVICES"
CPU = re.compile(r"cpu:\d+")
NUMBER = re.compile(r"\d+")
GPU_LINE = re.compile(r"GPU (\d+): (.+) \(UUID: (\S+)\)")
MIG_LINE = re.compile(r"\s+MIG (.+?)\s+Device\s+\d+: \(UUID: (\S+)\)")
LIST_SECONDS = 60.0
WAY_OUT = "dmix devices lists those of this machine"


@dataclass(frozen=True)
class Device:
    """What one run is given.

    Attributes
    ----------
    name: UUID of a GPU or MIG instance, its number where nvidia-smi is not installed, or cpu:N, a slot.
    title: the model, for people; "" where it is unknown.
    """

    name: str
    title: str = ""

    @property
    def on_cpu(self) -> bool:
        """Whether this is a slot on the CPU."""
        return CPU.fullmatch(self.name) is not None


@dataclass(frozen=True)
class Card:
    """A GPU as nvidia-smi lists it: its number from 0, its UUID and model, and its MIG instances."""

    number: int
    whole: Device
    instances: tuple[Device, ...] = ()

    @property
    def devices(self) -> tuple[Device, ...]:
        """What runs can use of it: CUDA uses no whole GPU that is divided into MIG instances."""
        return self.instances or (self.whole,)


def find_devices(wanted: str) -> tuple[Device, ...]:
    """Return the devices that a list names, each once.

    Parameters
    ----------
    wanted: "all", which is every GPU that CUDA_VISIBLE_DEVICES leaves, each MIG instance by itself; or names
        with commas in between: numbers of nvidia-smi, UUIDs or the beginnings of some; or cpu:N, one of as
        many slots on the CPU as you name.

    Raises
    ------
    DmixError: there is no such device, it is named twice, CUDA_VISIBLE_DEVICES hides it, or nvidia-smi fails.
    """
    names = _names(wanted)
    if not names:
        raise DmixError("the list of devices is empty", "name some, or all: --devices all")
    slots = [Device(name) for name in names if CPU.fullmatch(name)]
    if len(slots) == len(names):
        return _once(slots)
    if slots:
        raise DmixError(
            f"--devices {wanted}: GPUs and slots on the CPU",
            "list the ones or the others: numbers differ between them",
        )
    cards = list_cards()
    visible = _visible(cards)
    if names == [ALL]:
        found = visible if visible is not None else [each for card in cards for each in card.devices]
        if not found:
            reason = f"{VISIBLE} hides all GPUs" if cards else "nvidia-smi lists no GPU"
            raise DmixError(f"--devices all: {reason}", "name devices: --devices 0,1, or cpu:0,cpu:1")
        return _once(found)
    found = [device for name in names for device in _resolve(name, cards)]
    if visible is not None and (hidden := [each.name for each in found if each not in visible]):
        raise DmixError(
            f"{VISIBLE}={os.environ[VISIBLE]} hides {', '.join(hidden)}", "unset it, or choose others"
        )
    return _once(found)


def list_cards() -> tuple[Card, ...]:
    """Return the GPUs that nvidia-smi lists; none where it is not installed.

    Raises
    ------
    DmixError: it is installed and fails.
    """
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=LIST_SECONDS)
    except FileNotFoundError:
        return ()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DmixError(f"nvidia-smi -L: {error}", "see whether the driver answers: nvidia-smi") from error
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).split()) or f"exit status {done.returncode}"
        raise DmixError(f"nvidia-smi -L: {said}", "see whether the driver answers: nvidia-smi")
    return parse_cards(done.stdout)


def parse_cards(text: str) -> tuple[Card, ...]:
    """Return the GPUs in the output of `nvidia-smi -L`."""
    cards: list[Card] = []
    for line in text.splitlines():
        if gpu := GPU_LINE.fullmatch(line.rstrip()):
            cards.append(Card(int(gpu[1]), Device(gpu[3], gpu[2])))
        elif (mig := MIG_LINE.fullmatch(line.rstrip())) and cards:
            card = cards[-1]
            instance = Device(mig[2], f"{card.whole.title} MIG {mig[1]}")
            cards[-1] = Card(card.number, card.whole, (*card.instances, instance))
    return tuple(cards)


def _names(text: str) -> list[str]:
    return [name for name in (part.strip() for part in text.split(",")) if name]


def _visible(cards: Sequence[Card]) -> list[Device] | None:
    """Return the devices that CUDA_VISIBLE_DEVICES leaves, none for "" and -1; None where it is not set."""
    if VISIBLE not in os.environ:
        return None
    names = _names(os.environ[VISIBLE])
    if "-1" in names:  # CUDA reads no further
        names = names[: names.index("-1")]
    return [device for name in names for device in _resolve(name, cards)]


def _resolve(name: str, cards: Sequence[Card]) -> tuple[Device, ...]:
    """Return the device of a name; the instances of a GPU that is divided."""
    if not cards and (NUMBER.fullmatch(name) or name.startswith(("GPU-", "MIG-"))):
        return (Device(name),)  # nvidia-smi is not here to ask; CUDA knows whether there is one
    for card in cards:
        if NUMBER.fullmatch(name) and int(name) == card.number:
            return card.devices
    if name.startswith(("GPU-", "MIG-")):
        known = [(whole.name, card.devices) for card in cards for whole in (card.whole,)]
        known += [(each.name, (each,)) for card in cards for each in card.instances]
        near = [devices for other, devices in known if other.startswith(name)]
        if len(near) == 1:
            return near[0]
        if near:
            raise DmixError(f"{name} is the beginning of {len(near)} devices", WAY_OUT)
    raise DmixError(f"there is no device {name!r} on this machine", WAY_OUT)


def _once(devices: Sequence[Device]) -> tuple[Device, ...]:
    names = [device.name for device in devices]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DmixError(f"the list of devices has {', '.join(twice)} twice", "name each once")
    return tuple(devices)
