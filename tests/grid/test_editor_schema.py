"""params/schema.json is what the code says, and the parameter files fulfil it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dmix import cli
from dmix.grid.editor_schema import all_parts, as_text, editor_schema
from dmix.grid.includes import included_files
from dmix.grid.parts import ROOMS, read_part
from dmix.grid.yaml_lines import load
from paper import TABLES
from project import ROOT, small_params

PARAMS = ROOT / "params.yaml"
COMMITTED = ROOT / "params/schema.json"
SCHEMA = json.loads(COMMITTED.read_text())
FILES = [PARAMS, *included_files(load(PARAMS))]


def problems(file: Path) -> list[str]:
    """Return what the schema finds in a file, as "key: problem"."""
    found = Draft202012Validator(SCHEMA).iter_errors(load(file).data)
    return [f"{'.'.join(map(str, error.path))}: {error.message}" for error in found]


def test_the_committed_file_is_what_the_command_prints():
    """Of the parts that the file knows: a new part needs no new file, only then are its settings checked."""
    names = [key.split(".", 1) for key in SCHEMA["$defs"] if "." in key]
    expected = editor_schema([(section, use.replace(".", "/")) for section, use in names])
    assert expected == SCHEMA, "run: dmix schema > params/schema.json"
    assert as_text(expected) == COMMITTED.read_text()


def test_the_command_prints_the_settings_of_every_part(capsys):
    assert cli.main(["schema"]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert printed == editor_schema()
    parts = list(all_parts())
    assert {section for section, _ in parts} == set(ROOMS)
    for section, use in parts:
        settings = printed["$defs"][f"{section}.{use.replace('/', '.')}"]["properties"]
        assert set(settings) == set(read_part(section, use).model.model_fields)


def test_it_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_files_fulfil_it_and_name_it_to_editors(file):
    assert problems(file) == []
    if file.parent.name == "tables" and file.stem not in TABLES:
        return  # of one's own, for which an editor is asked nothing
    name = Path(os.path.relpath(COMMITTED, file.parent)).as_posix()
    assert file.read_text().splitlines()[0] == f"# yaml-language-server: $schema={name}"


WRONG = {
    "a section": ("\nmethods:\n", "\nmehtods:\n", ": Additional properties are not allowed ('mehtods'"),
    "a setting of the part of the entry's name": (
        "cutmix: {title: CutMix, kind: static, family: cutting, alpha: 0.2",
        "cutmix: {title: CutMix, kind: static, family: cutting, alhpa: 0.2",
        "policies.cutmix: 'alhpa' is not one of",
    ),
    "a value of it": (
        "cutmix: {title: CutMix, kind: static, family: cutting, alpha: 0.2",
        "cutmix: {title: CutMix, kind: static, family: cutting, alpha: -0.2",
        "policies.cutmix.alpha: -0.2 is less than or equal to the minimum of 0",
    ),
    "a setting of the part that the entry uses": (
        "    groups: 32\n",
        "    gruops: 32\n",
        "backbones.resnext50: 'gruops' is not one of",
    ),
    "a setting of a part of the recipe": (
        "{use: crop_flip, padding: 4, flip: 0.5}",
        "{use: crop_flip, padding: 4, flpi: 0.5}",
        "recipes.cifar.augment: 'flpi' is not one of",
    ),
    "an option of the recipe": (
        "    weight_decay: 0.0001\n",
        "    weight_decay: -0.0001\n",
        "recipes.cifar.weight_decay: -0.0001 is less than the minimum of 0",
    ),
    "a key of the recipe": (
        "    eval_every: 20\n",
        "    eval_evry: 20\n",
        "recipes.cifar: Additional properties",
    ),
    "a kind": (
        "title: Mixup, kind: static",
        "title: Mixup, kind: statc",
        "policies.mixup.kind: 'statc' is not",
    ),
    "a key of a table": ('    number: "1"\n', '    nubmer: "1"\n', "tables.table1: 'number' is a required"),
    "a grid's axis": (
        "  cifar10_vanilla:\n    method:",
        "  cifar10_vanilla:\n    mehtod:",
        "grids.cifar10_vanilla: ",
    ),
    "an override without its source": (
        "overrides: [] # ordered",
        "overrides: [{set: {recipe.lr: 0.2}}]",
        "overrides.0: 'why' is a required property",
    ),
}


def test_the_small_params_fulfil_it(tmp_path):
    (tmp_path / "params.yaml").write_text(small_params())
    assert problems(tmp_path / "params.yaml") == []


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_found(tmp_path, case):
    old, new, message = WRONG[case]
    assert small_params().count(old) == 1
    (tmp_path / "params.yaml").write_text(small_params().replace(old, new))
    assert any(found.startswith(message) for found in problems(tmp_path / "params.yaml"))
