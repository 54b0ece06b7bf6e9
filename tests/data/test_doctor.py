"""`dmix doctor` on this machine, and on machines that lack something."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

from dmix import cli
from dmix.data.embedded import editions as embedded
from dmix.data_items import read_sources
from dmix.doctor import machine as module
from dmix.doctor.finding import Finding, as_text
from dmix.doctor.machine import machine
from dmix.doctor.store import GROUPS, store
from project import ROOT, copy_params


@pytest.fixture
def here(tmp_path, embedded_data, monkeypatch) -> Path:
    copy_params(tmp_path)
    (tmp_path / "reference").mkdir()
    shutil.copy(ROOT / "reference/datasets.csv", tmp_path / "reference")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/embedded").symlink_to(embedded_data / "embedded")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def by_name(findings) -> dict[tuple[str, str], Finding]:
    return {(found.group, found.name): found for found in findings}


def on_machine(name: str) -> Finding:
    return by_name(machine((Path("data"),)))["machine", name]


def test_everything_the_embedded_tier_needs_is_here(here, capsys):
    real = here / "data/real"
    (real / "weights").mkdir(parents=True)
    (real / "weights/resnet18-f37072fd.pth").touch()
    (real / "CUB_200_2011").symlink_to(here)
    assert cli.main(["doctor", "--json"]) == 0
    found = by_name(Finding(**each) for each in json.loads(capsys.readouterr().out)["findings"])
    items = read_sources()
    for name, item in items.items():
        group = GROUPS[item.kind]
        state = "ok" if name in ("cub", "resnet18_weights") else "missing"
        assert (found[group, name].state, found[group, name].command) == (
            state, "" if state == "ok" else item.command
        )  # fmt: skip
    assert found["genuine data", "cub"].detail == f"data/real/CUB_200_2011 -> {here}"
    for name in embedded.EDITIONS:
        assert found["embedded data (ships with dmix)", name].state == "ok"
    assert found["machine", "torch"].detail == importlib.metadata.version("torch")
    assert {name for group, name in found if group == "machine"} >= {
        "python", "torch", "torchvision", "timm", "snakemake", "dvc", "opencv-contrib-python-headless",
        "opencv loads", "torchvision loads", "params.yaml", "gpu", "git",
        "disk at data/", "disk at results/", "disk at work/", "shared memory at /dev/shm",
    }  # fmt: skip
    assert {each.state for each in found.values()} == {"ok", "missing"}


def test_the_text_is_a_table_by_group():
    findings = [
        Finding("machine", "git", "ok", "2.39"),
        Finding("machine", "opencv", "broken", "it is not installed", "make setup"),
        Finding("genuine data", "cub", "missing", "", "dmix data fetch cub"),
    ]
    assert as_text(findings).splitlines() == [
        "machine",
        "  ok      git     2.39",
        "  broken  opencv  it is not installed   make setup",
        "genuine data",
        "  missing cub        dmix data fetch cub",
    ]


def test_what_is_broken_fails_the_command(here, capsys, monkeypatch):
    (here / "params.yaml").write_text("tiers: {}\n")
    assert cli.main(["doctor"]) == 1
    assert "  broken  params.yaml" in capsys.readouterr().out


def test_data_that_are_damaged_outdated_or_linked_to_nowhere(here, embedded_data, monkeypatch):
    data = here / "other"
    for name in ("cub", "cars"):
        folder = embedded.EDITIONS[name].folder
        shutil.copytree(embedded_data / "embedded" / folder, data / "embedded" / folder)
    (data / "embedded/CUB_200_2011/images.txt").write_text("")
    monkeypatch.setattr(embedded, "VERSION", embedded.VERSION + 1)
    (data / "real").mkdir()
    (data / "real/stanford_cars").symlink_to("/gone")
    found = by_name(store(data))
    shipped = "embedded data (ships with dmix)"
    assert "images.txt is missing or damaged" in found[shipped, "cub"].detail
    assert "is of an older dmix" in found[shipped, "cars"].detail
    assert {found[shipped, name].command for name in embedded.EDITIONS} == {"dmix data embed"}
    cars = found["genuine data", "cars"]
    assert (cars.state, cars.command) == ("missing", "dmix data import cars PATH")
    assert "is a link to /gone, which is gone" in cars.detail


def test_a_table_of_sources_that_is_wrong(here):
    Path("reference/datasets.csv").write_text("item\n")
    (*_, last) = store(Path("data"))
    assert (last.name, last.state) == ("reference/datasets.csv", "broken")


def test_packages_that_are_missing_or_other_than_required():
    wanted = [Requirement(line) for line in ("torch>=99", "no-such-package", "numpy", "gone; extra == 'x'")]
    found = {each.name: each for each in module._packages(wanted)}
    assert (found["torch"].state, found["torch"].command) == ("broken", "make setup")
    assert found["torch"].detail.endswith(", needed is >=99")
    assert found["no-such-package"].state == "broken"
    assert found["other packages"].detail == "1 as required"
    assert "gone" not in found


Usage = namedtuple("Usage", "free")


def test_a_disk_that_is_full(here, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(1e8))
    full = on_machine("disk at data/")
    assert (full.state, full.detail) == ("broken", "0.1 GB free")


def test_shared_memory_that_is_small_or_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(64e6))
    small = module._shared_memory(tmp_path)
    assert (small.state, small.detail) == ("missing", "0.06 GB free, too few to decode images in workers")
    assert "--shm-size" in small.command
    monkeypatch.undo()
    assert module._shared_memory(tmp_path / "gone").state == "missing"


def test_a_folder_that_does_not_exist_yet_is_on_the_disk_of_its_parent(here):
    assert module._disk(Path("a/b")).state == "ok"


@pytest.mark.parametrize(
    ("driver", "detail"),
    [("", "none: CPU"), ("550.54\n550.54", "torch sees none: CPU (driver 550.54; torch is {})")],
)
def test_no_gpu_is_fine(monkeypatch, driver, detail):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(module, "_output", lambda *_: driver)
    assert module._gpu() == Finding("machine", "gpu", "ok", detail.format(torch.__version__))


def test_gpus_have_names_memory_and_driver(monkeypatch):
    card = namedtuple("Card", "name total_memory")("NVIDIA H100", 80 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(module, "_output", lambda *_: "550.54\n550.54")
    detail = "NVIDIA H100 80 GiB, NVIDIA H100 80 GiB; driver 550.54, CUDA 12.8"
    assert module._gpu().detail == detail


def test_no_git(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", missing)
    assert module._git().state == "missing"
