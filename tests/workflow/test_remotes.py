"""A team's store on S3 and on SSH: pushed by one checkout, and used by a fresh clone of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvc_checkouts import clone, commit, dvc, files, output, served
from project import Project
from stores import Store

pytestmark = pytest.mark.slow

RECORDS, WEIGHTS = "results/smoke/records", "results/smoke/weights"
CELL = "supervised/cifar10/resnet18/cutmix/dm_ce"
TABLE = ("table", "table1", "--tier", "smoke", "--out", "rendered")


def test_a_fresh_clone_renders_from_the_records_and_gets_the_weights_that_it_asks_for(
    first: Project, store: Store, tmp_path: Path
):
    store.joined_by(first)
    archive = first.path / "archives/images.tar"
    archive.parent.mkdir()
    archive.write_bytes(bytes(range(256)) * 4096)
    dvc(first, "add", "archives/images.tar")
    commit(first)
    dvc(first, "push")
    output(first.dmix(*TABLE))
    second = clone(first, tmp_path / "second")

    dvc(second, "pull", RECORDS)
    assert files(second, RECORDS) == files(first, RECORDS)
    assert not (second.path / WEIGHTS).exists()
    assert not (second.path / "data").exists()
    output(second.dmix(*TABLE))
    assert files(second, "rendered") == files(first, "rendered")
    assert second.planned() == set()  # trains nothing

    dvc(second, "pull", "archives/images.tar.dvc")
    assert files(second, "archives") == files(first, "archives")

    made = files(first, WEIGHTS)
    dvc(second, "pull", f"{WEIGHTS}/{CELL}")
    own = {path: content for path, content in made.items() if path.startswith(f"{CELL}/")}
    assert len(own) == 1
    assert files(second, WEIGHTS) == own
    dvc(second, "pull", WEIGHTS)
    assert files(second, WEIGHTS) == made
    output(second.dmix("plan", "--check", "--tier", "smoke"))
    said = output(second.dmix("doctor", "--store"))
    assert "whole" in said
    assert "broken" not in said

    # And by the address of the git repository.
    third = clone(first, tmp_path / "third")
    output(third.dmix("join", served(first, tmp_path / "served.git"), "--tier", "smoke"))
    assert files(third, RECORDS) == files(first, RECORDS)
    assert files(third, WEIGHTS) == made
