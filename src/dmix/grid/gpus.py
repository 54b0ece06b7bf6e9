"""Knows common GPUs: the peak rate of their data sheets, and which share of it training reaches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dmix.devices.memory import has_room
from dmix.errors import DmixError
from dmix.reading import read_csv

GPUS = Path("reference/gpus.csv")
GPUS_HEADER = ("gpu", "device", "memory_gb", "precision", "tflops", "source")
UTILISATION = Path("reference/utilisation.csv")
UTILISATION_HEADER = ("images", "precision", "utilisation", "basis", "source")
BASES = ("published", "assumed")
KINDS = ("small", "large")
SMALL_SIDE = 64
"""Largest side in pixels of small images: those of CIFAR and Tiny-ImageNet."""
HALF = {"fp16": "bf16", "bf16": "fp16"}
"""GPUs that have both half precisions multiply them at one rate."""
DEFAULT = "a100"
"""The GPU that is assumed where none is named."""


class Kind(Protocol):
    """A kind of device, of this machine (`DeviceKind`) or of the table (`Gpu`)."""

    def is_device(self, device: str) -> bool:
        """Return whether a device, as torch names it, is one of these."""

    def has_room(self, memory_mb: float, count: int = 1) -> bool:
        """Return whether so many processes of `memory_mb` MiB each fit one device."""


@dataclass(frozen=True)
class Gpu:
    """A kind of GPU.

    Attributes
    ----------
    device: what its name contains as torch prints it ("A100" of "NVIDIA A100-SXM4-80GB").
    memory_gb: of one card. tflops: precision (`recipe.precision`) -> dense peak in TFLOP/s.
    """

    name: str
    device: str
    memory_gb: float
    tflops: Mapping[str, float]

    def __str__(self) -> str:
        return self.name

    def is_device(self, device: str) -> bool:
        """Return whether a device, as torch names it, is one of these."""
        return re.search(rf"(?<!\w){re.escape(self.device)}(?!\w)", device) is not None

    def has_room(self, memory_mb: float, count: int = 1) -> bool:
        """Return whether so many processes of `memory_mb` MiB each fit one card."""
        return has_room(self.memory_gb * 1e9 / 2**20, memory_mb, count)

    def peak(self, precision: str) -> float:
        """Return the dense peak in TFLOP/s.

        Raises
        ------
        DmixError: the file does not say it.
        """
        for known in (precision, HALF.get(precision, precision)):
            if known in self.tflops:
                return self.tflops[known]
        raise DmixError(
            f"{GPUS} does not say how fast {self.name} is in {precision}",
            f"add a line {self.name},{self.device},{self.memory_gb:g},{precision},TFLOPS,SOURCE, or choose "
            "another --gpu",
        )


def read_gpu(name: str, path: Path = GPUS) -> Gpu:
    """Return the GPU `name` of the file.

    Raises
    ------
    DmixError: the file is missing, has another header, a precision twice, two devices or memories for one
        GPU, or a rate that is no number above 0; or there is no such GPU.
    """
    peaks: dict[str, dict[str, float]] = {}
    said: dict[str, tuple[str, float]] = {}
    for where, row in read_csv(path, GPUS_HEADER):
        gpu, precision = row["gpu"], row["precision"]
        own = (row["device"], positive(where, "memory_gb", row["memory_gb"]))
        if said.setdefault(gpu, own) != own:
            raise DmixError(f"{where}: {gpu} has another device or memory in an earlier line")
        if precision in peaks.setdefault(gpu, {}):
            raise DmixError(f"{where}: {gpu} in {precision} is given twice")
        peaks[gpu][precision] = positive(where, "tflops", row["tflops"])
    if name not in peaks:
        raise DmixError(f"{path} has no GPU {name!r}", f"choose of {', '.join(peaks)}, or add its lines")
    return Gpu(name, *said[name], peaks[name])


def read_utilisation(path: Path = UTILISATION) -> Mapping[tuple[str, str], float]:
    """Return (kind of images, precision) -> share of the peak that training reaches, in 0..1.

    Raises
    ------
    DmixError: the file is missing, has another header, a line twice, or a field that is not what it must be.
    """
    found: dict[tuple[str, str], float] = {}
    for where, row in read_csv(path, UTILISATION_HEADER):
        key = (row["images"], row["precision"])
        if row["images"] not in KINDS:
            raise DmixError(f"{where}: {row['images']!r} is none of {', '.join(KINDS)}")
        if row["basis"] not in BASES:
            raise DmixError(f"{where}: the basis {row['basis']!r} is none of {', '.join(BASES)}")
        if key in found:
            raise DmixError(f"{where}: {' '.join(key)} is given twice")
        found[key] = positive(where, "utilisation", row["utilisation"])
        if found[key] > 1:
            raise DmixError(f"{where}: a utilisation of {found[key]:g} is above the peak")
    return found


def kind_of(side: int) -> str:
    """Return whether images of `side` pixels are "small" or "large"."""
    return "small" if side <= SMALL_SIDE else "large"


def positive(where: str, what: str, text: str) -> float:
    """Return a number above 0 from a field of a table; `where` begins the message.

    Raises
    ------
    DmixError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise DmixError(f"{where}: {what} is {text!r}, which is no number above 0")
    return value
