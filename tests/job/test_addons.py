"""+CutMix by an entry alone: `dmix train` trains it beside a transfer and a semi-supervised method."""

from __future__ import annotations

import pytest

from dmix.cli import main
from dmix.grid.expand import load_grid
from dmix.record import read_record
from project import ROOT, copy_params

SOURCE = "supervised/imagenet/resnet50/vanilla/ce/s0"
NAMES = [
    "transfer/self_tuning/cub/resnet50/cutmix/mce/percent=15/s0",
    "semi/fixmatch/cifar10/wrn28_2/cutmix/mce/count=20/s0",
]
CUTMIX = "  cutmix: {base: mixup, title: +CutMix, policy: cutmix}\n"
DM = "  dm: {base: mixup, title: +DM, objective: dm_ce, rule: at_most_half}\n"


@pytest.fixture
def folder(tmp_path, embedded_data, monkeypatch):
    """A folder whose params.yaml has +CutMix in the place of +Mixup in the grids of Tables 6 and 7."""
    for file in copy_params(tmp_path):
        text = file.read_text().replace("    addon: mixup\n", "    addon: [mixup, cutmix]\n")
        file.write_text(text.replace(DM, f"{DM}{CUTMIX}"))
    (tmp_path / "data").symlink_to(embedded_data)
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_another_policy_is_trained_as_an_add_on(folder):
    grid = load_grid("smoke")
    assert main(["train", SOURCE, "--tier", "smoke", "--device", "cpu"]) == 0
    for name in NAMES:
        assert main(["train", name, "--tier", "smoke", "--device", "cpu"]) == 0
        path = folder / "results/smoke/records" / grid.folders[name]
        record = read_record(path / "record.json")
        assert record.spec["policy"]["use"] == "cutmix"
        assert record.spec["pairing"]["rule"] == "free"
        assert set(record.scores) >= {"clean", "mixed"}
        header, first, *_ = (path / "history.csv").read_text().splitlines()
        losses = dict(zip(header.split(","), first.split(","), strict=True))
        assert float(losses["mixed_ll"]) > 0


def test_a_policy_that_cannot_be_one_is_refused_by_dmix_train(folder, capsys):
    for file in (folder / "params.yaml", *(folder / "params").rglob("*.yaml")):
        file.write_text(file.read_text().replace("+CutMix, policy: cutmix", "+AutoMix, policy: automix"))
    assert main(["train", NAMES[0].replace("cutmix", "automix"), "--tier", "smoke"]) == 2
    message = capsys.readouterr().err
    assert (
        "addons.cutmix.policy: automix cannot be an add-on: its mixer learns from labelled pairs" in message
    )
