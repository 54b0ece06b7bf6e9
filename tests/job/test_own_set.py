"""A data set of one's own, made here, is trained by the commands of any other."""

from __future__ import annotations

import json

import pytest
import safetensors.numpy

from own_set import ENTRY, NAME, params, write
from project import Project


@pytest.mark.slow
def test_a_class_folder_set_is_trained_with_the_stem_of_its_recipe(tmp_path):
    project = Project.create(tmp_path / "project", params=params(ENTRY[:-1] + ", edition: real}"))
    write(project.path / "data/real/pets")
    done = project.dmix("train", NAME, "--tier", "embedded")
    assert done.returncode == 0, done.stdout + done.stderr
    records = project.path / "results/embedded/records"
    products = records / project.folder(NAME, "embedded")
    record = json.loads((products / "record.json").read_text())
    assert (record["data_edition"], record["evaluations"]) == ("real", [1, 2])
    weights = safetensors.numpy.load_file(
        project.path / "results/embedded/weights" / products.relative_to(records) / "weights.safetensors"
    )
    assert {name: value.shape for name, value in weights.items() if ".stem." in name and value.ndim == 4} == {
        "model.stem.0.weight": (8, 3, 7, 7)
    }


@pytest.mark.slow
def test_the_workflow_of_a_small_tier_goes_on_without_it(tmp_path, embedded_data):
    project = Project.create(tmp_path / "project", embedded_data, params())
    planned = project.planned()
    assert "supervised/cifar10/resnet18/vanilla/ce/s0" in planned
    assert not any("/pets/" in name for name in planned)
