"""A data set of one's own: blocked where its folder is missing or a tier asks for an embedded edition."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dmix import cli
from dmix.doctor.store import store
from dmix.errors import DmixError
from dmix.grid.artefact import table_digest
from dmix.grid.expand import Grid, load_grid
from own_set import ENTRY, NAME, params, write
from project import ROOT

OTHER = "supervised/cifar10/resnet18/vanilla/ce/s0"
NO_EDITION = "pets has no embedded edition: train it at tier full, or give its entry edition: real"
NO_FOLDER = "put it at data/real/pets, or run dmix data import pets PATH"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without data whose params.yaml has a data set of one's own."""
    (tmp_path / "params.yaml").write_text(params())
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("tier", ["embedded", "smoke"])
def test_small_tiers_go_on_without_it(here, tier):
    grid = load_grid(tier)
    assert grid.blocked(NAME) == NO_EDITION
    blocked = {name for name in grid.runs if grid.blocked(name)}
    assert blocked == {name for name in grid.runs if "/pets/" in name}
    assert OTHER in grid.folders
    assert grid.embedded == ("cifar10", "cifar100")


def test_an_edition_without_code_that_writes_it_is_none(here):
    sizes = ENTRY[:-1] + ", embedded: {train_size: 2}}"
    (here / "params.yaml").write_text(params(sizes))
    assert load_grid("smoke").blocked(NAME) == NO_EDITION


def test_an_edition_without_sizes_is_none(here):
    text = params()
    sizes = "    embedded: {train_size: 1000, test_size: 250} # scikit-learn's bundled digits\n"
    assert text.count(sizes) == 1
    (here / "params.yaml").write_text(text.replace(sizes, ""))
    grid = load_grid("smoke")
    assert grid.blocked(OTHER) == NO_EDITION.replace("pets", "cifar10")
    assert grid.embedded == ("cifar100",)


def test_plan_status_and_tables_say_why(here, capsys):
    assert cli.main(["plan", "--tier", "smoke", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["blocked"] == {NO_EDITION: 1}
    assert cli.main(["status", "--tier", "smoke", "--json"]) == 0
    standings = json.loads(capsys.readouterr().out)["tables"]["tablePets"]
    assert standings[NAME] == {"state": "blocked", "detail": NO_EDITION}
    assert standings[OTHER]["state"] == "missing"
    assert cli.main(["train", NAME, "--tier", "smoke"]) == 2
    assert NO_EDITION in capsys.readouterr().err
    assert cli.main(["table", "tablePets", "--tier", "smoke"]) == 0
    assert f"1 cell blocked ({NO_EDITION})" in " ".join(capsys.readouterr().out.split())


def test_its_folder_is_asked_for_and_found(here):
    grid = load_grid("full")
    assert grid.blocked(NAME) == NO_FOLDER
    before = table_digest(grid, "tablePets")
    write(here / "data/real/pets")
    grid = load_grid("full")
    assert grid.blocked(NAME) is None
    assert table_digest(grid, "tablePets") != before


def test_genuine_data_at_a_small_tier(here):
    (here / "params.yaml").write_text(params(ENTRY[:-1] + ", edition: real}"))
    assert load_grid("smoke").blocked(NAME) == NO_FOLDER
    write(here / "data/real/pets")
    assert load_grid("smoke").blocked(NAME) is None


def test_doctor_lists_it(here):
    def found():
        return {finding.name: finding for finding in store(here / "data")}["pets"]

    assert (found().group, found().state, found().command) == (
        *("genuine data", "missing"), "dmix data import pets PATH"
    )  # fmt: skip
    assert found().detail == f"put it at {here / 'data/real/pets'}, or"
    write(here / "data/real/pets")
    assert found().state == "ok"


def test_import_links_it_and_verify_decodes_it(here, capsys):
    place = write(here / "elsewhere")
    assert cli.main(["data", "import", "pets", str(place)]) == 0
    assert (here / "data/real/pets").resolve() == place
    capsys.readouterr()
    assert cli.main(["data", "verify", "pets"]) == 0
    assert "pets: 40 train and 2 test images of 2 classes, all whole" in capsys.readouterr().out
    (place / "train/cat/0.jpg").write_bytes(b"no image")
    assert cli.main(["data", "verify", "pets"]) == 1
    assert "pets: 1 of 42 images in data/real/pets are damaged" in capsys.readouterr().err


def test_import_refuses_what_its_loader_refuses(here, capsys):
    place = write(here / "elsewhere")
    (place / "train/cat/0.jpg").unlink()
    assert cli.main(["data", "import", "pets", str(place)]) == 1
    assert "holds 39 train images, the settings say 40" in capsys.readouterr().err
    assert not (here / "data/real/pets").exists()


def test_fetch_says_that_nobody_publishes_it(here, capsys):
    assert cli.main(["data", "fetch", "pets"]) == 2
    said = capsys.readouterr().err
    assert "no row of reference/datasets.csv says where pets is from" in said
    assert NO_FOLDER in said


def starting(source: str, narrow: str = "") -> str:
    text = params().replace("    stem: imagenet\n", f"    stem: cifar\n    init: {source}\n")
    return text.replace("    seeds: [0]\n", f"    seeds: [0]\n{narrow}")


def test_a_source_that_the_tier_leaves_out_blocks(here):
    source = "supervised/cifar10/resnet18/vanilla/ce/s0"
    (here / "params.yaml").write_text(starting(source, "    omit: [cifar10_vanilla]\n"))
    grid: Grid = load_grid("smoke")
    assert grid.blocked(NAME) == NO_EDITION
    (here / "params.yaml").write_text(
        starting(source, "    omit: [cifar10_vanilla]\n").replace("dataset: pets, b", "dataset: cifar100, b")
        .replace("recipe: files", "recipe: later")
        .replace("\npolicies:\n", f"  later: {{base: cifar, init: {source}}}\n\npolicies:\n")
        .replace("policy: vanilla, objective: ce}", "policy: resizemix, objective: mce}")
    )  # fmt: skip
    grid = load_grid("smoke")
    assert grid.blocked("supervised/cifar100/resnet18/resizemix/mce/s0") == (
        f"tier smoke leaves out {source}, from whose weights it starts: add that to a grid"
    )
    assert "supervised/cifar100/resnet18/vanilla/ce/s0" in grid.folders


def test_a_source_in_no_grid_is_an_error_still(here):
    (here / "params.yaml").write_text(starting("supervised/cifar10/resnet18/fmix/mce/s0"))
    with pytest.raises(DmixError, match="which is in no grid"):
        load_grid("smoke")
