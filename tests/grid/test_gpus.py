"""Peaks of GPUs, and the share of them that training reaches."""

from __future__ import annotations

import csv

import pytest

from dmix.errors import DmixError
from dmix.grid.gpus import (
    GPUS_HEADER,
    UTILISATION_HEADER,
    kind_of,
    read_gpu,
    read_utilisation,
)
from project import ROOT

GPUS = ROOT / "reference/gpus.csv"


def names() -> list[str]:
    with GPUS.open(newline="") as stream:
        return list(dict.fromkeys(row["gpu"] for row in csv.DictReader(stream)))


@pytest.mark.parametrize("name", names())
def test_every_gpu_has_peaks_that_do_not_fall_with_shorter_numbers(name):
    gpu = read_gpu(name, GPUS)
    assert gpu.peak("fp32") <= gpu.tflops.get("tf32", gpu.peak("fp16")) <= gpu.peak("fp16")
    assert gpu.peak("fp16") == gpu.peak("bf16")


@pytest.mark.parametrize(
    ("name", "device", "expected"),
    [
        ("a100", "NVIDIA A100-SXM4-80GB", True),
        ("a10", "NVIDIA A100-SXM4-80GB", False),
        ("a10", "NVIDIA A10", True),
        ("h100", "NVIDIA H100 80GB HBM3", True),
        ("rtx4090", "NVIDIA GeForce RTX 4090", True),
        ("l40s", "NVIDIA L40", False),
        ("a100", "cpu", False),
    ],
)
def test_a_device_is_known_by_the_name_that_torch_prints(name, device, expected):
    assert read_gpu(name, GPUS).is_device(device) is expected


WRONG = {
    "no such GPU": ("a100,A100,80,fp32,19.5,x", "has no GPU 'h100'"),
    "no number": ("h100,H100,80,fp32,fast,x", "tflops is 'fast', which is no number above 0"),
    "zero": ("h100,H100,80,fp32,0,x", "tflops is '0', which is no number above 0"),
    "infinite memory": ("h100,H100,inf,fp32,67,x", "memory_gb is 'inf', which is no number above 0"),
    "twice": ("h100,H100,80,fp32,67,x\nh100,H100,80,fp32,68,y", "h100 in fp32 is given twice"),
    "two memories": ("h100,H100,80,fp32,67,x\nh100,H100,96,tf32,68,y", "another device or memory"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_lines_are_named(case, tmp_path):
    lines, message = WRONG[case]
    path = tmp_path / "gpus.csv"
    path.write_text(f"{','.join(GPUS_HEADER)}\n{lines}\n")
    with pytest.raises(DmixError, match=message):
        read_gpu("h100", path)


def test_a_precision_that_is_not_listed_is_named_with_the_line_to_add(tmp_path):
    path = tmp_path / "gpus.csv"
    path.write_text(f"{','.join(GPUS_HEADER)}\nh100,H100,80,fp32,67,x\n")
    with pytest.raises(DmixError, match="how fast h100 is in bf16") as caught:
        read_gpu("h100", path).peak("bf16")
    assert "h100,H100,80,bf16," in caught.value.way_out


BAD_SHARES = {
    "another kind": ("huge,fp32,0.5,assumed,x", "'huge' is none of small, large"),
    "another basis": ("small,fp32,0.5,felt,x", "'felt' is none of published, assumed"),
    "above the peak": ("small,fp32,1.5,assumed,x", "1.5 is above the peak"),
    "twice": ("small,fp32,0.5,assumed,x\nsmall,fp32,0.4,assumed,x", "small fp32 is given twice"),
}


@pytest.mark.parametrize("case", BAD_SHARES)
def test_wrong_shares_are_named(case, tmp_path):
    lines, message = BAD_SHARES[case]
    path = tmp_path / "utilisation.csv"
    path.write_text(f"{','.join(UTILISATION_HEADER)}\n{lines}\n")
    with pytest.raises(DmixError, match=message):
        read_utilisation(path)


def test_published_shares_are_the_printed_speed_over_the_peak():
    """Images/s of NVIDIA's ResNet-50, three passes of 8.22 GFLOP an image, over the peak of its card."""
    shares = read_utilisation(ROOT / "reference/utilisation.csv")
    printed = {("fp32", 367.0): "v100", ("tf32", 938.0): "a100", ("bf16", 2470.0): "a100"}
    for (precision, speed), name in printed.items():
        share = speed * 3 * 8.22e9 / (read_gpu(name, GPUS).peak(precision) * 1e12)
        assert shares["large", precision] == pytest.approx(share, abs=0.005)


def test_images_are_small_up_to_those_of_tiny_imagenet():
    assert [kind_of(side) for side in (16, 64, 65, 224)] == ["small", "small", "large", "large"]
