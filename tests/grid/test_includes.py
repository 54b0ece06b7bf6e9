"""params.yaml with the files that it includes: one document, in which every key keeps its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dmix import cli
from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.grid.includes import natural, read_params
from dmix.grid.yaml_lines import load
from project import NO_RULES, ROOT, small_params

FILES = {
    "params.yaml": """\
include: [rules.yaml, more/*.yaml, tables/*]
seeds: [0, 1]
policies:
  mixup: {alpha: 1.0}
overrides:
  - set: {recipe.lr: 0.1}
""",
    "rules.yaml": """\
overrides:
  - when: {policy: mixup}
    set: {recipe.lr: 0.2}

  - set:
      a: 1
""",
    "more/datasets.yaml": """\
# a comment
datasets:
  cub:
    classes: 200

policies:
  cutmix: {alpha: 0.2}
""",
    "more/deep/ignored.yaml": "not: matched\n",
    "tables/table10.yaml": "tables: {ten: {number: 10}}\noverrides: [{set: {b: 2}}]\n",
    "tables/table2.yaml": "tables: {two: {number: 2}}\n",
    "tables/tableS1.yaml": "tables: {s1: {number: S1}}\n",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files; return the path of params.yaml."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "params.yaml"


def refused(folder: Path, **changes: str) -> str:
    """Return the message for the files above, some of which have another text; "__" in a name is a slash."""
    changed = {f"{name.replace('__', '/')}.yaml": text for name, text in changes.items()}
    with pytest.raises(DmixError) as caught:
        read_params(write(folder, FILES | changed))
    return str(caught.value).replace(f"{folder}/", "")


def test_the_files_are_one_document_in_the_order_of_the_list(tmp_path):
    found = read_params(write(tmp_path, FILES)).data
    assert found == {
        "seeds": [0, 1],
        "policies": {"mixup": {"alpha": 1.0}, "cutmix": {"alpha": 0.2}},
        "overrides": [
            {"set": {"recipe.lr": 0.1}},
            {"when": {"policy": "mixup"}, "set": {"recipe.lr": 0.2}},
            {"set": {"a": 1}},
            {"set": {"b": 2}},
        ],
        "datasets": {"cub": {"classes": 200}},
        "tables": {"two": {"number": 2}, "ten": {"number": 10}, "s1": {"number": "S1"}},
    }
    assert list(found["policies"]) == ["mixup", "cutmix"]
    assert list(found["tables"]) == ["two", "ten", "s1"]


@pytest.mark.parametrize(
    ("key", "place"),
    [
        (("seeds",), "params.yaml:2"),
        (("seeds", 1), "params.yaml:2"),
        (("policies",), "params.yaml:3"),
        (("policies", "mixup", "alpha"), "params.yaml:4"),
        (("policies", "cutmix"), "more/datasets.yaml:7"),
        (("policies", "cutmix", "missing"), "more/datasets.yaml:7"),
        (("datasets", "cub", "classes"), "more/datasets.yaml:4"),
        (("overrides",), "params.yaml:5"),
        (("overrides", 0, "set"), "params.yaml:6"),
        (("overrides", 1), "rules.yaml:2"),
        (("overrides", 1, "set", "recipe.lr"), "rules.yaml:3"),
        (("overrides", 2), "rules.yaml:5"),
        (("overrides", 2, "set", "a"), "rules.yaml:6"),
        (("overrides", 3, "set", "b"), "tables/table10.yaml:2"),
        (("tables", "ten", "number"), "tables/table10.yaml:1"),
    ],
)
def test_every_key_has_its_file_and_line(tmp_path, key, place):
    document = read_params(write(tmp_path, FILES))
    assert document.where(*key) == f"{tmp_path / place}: {'.'.join(map(str, key))}"


def test_a_file_without_include_is_read_alone(tmp_path):
    path = write(tmp_path, {"params.yaml": FILES["rules.yaml"], "rules.yaml": "a: 1\n"})
    assert read_params(path) == load(path)


def test_natural_order_counts():
    names = ["table10", "tableS1", "table2", "tableS10", "tableS2", "table1"]
    assert sorted(names, key=natural) == ["table1", "table2", "table10", "tableS1", "tableS2", "tableS10"]


MORE = "include: [{}]\nseeds: [0]\n"
REFUSED = {
    "an entry twice": (
        {"rules": "seed_sets: 1\npolicies:\n  mixup: {alpha: 2.0}\n"},
        "rules.yaml:3: policies.mixup: this entry is given twice, first in params.yaml:4",
    ),
    "an entry in two included files": (
        {"tables__table2": "tables:\n  ten: {number: 2}\n"},
        "tables/table10.yaml:1: tables.ten: this entry is given twice, first in tables/table2.yaml:2",
    ),
    "a list that has no order to join by": (
        {"rules": "seeds: [2]\n"},
        "rules.yaml:1: seeds: this section is given twice, first in params.yaml:2; files can share sections "
        "of entries, and overrides, alone",
    ),
    "a section that is a list elsewhere": (
        {"rules": "policies: [mixup]\n"},
        "rules.yaml:1: policies: this section is given twice, first in params.yaml:3",
    ),
    "overrides that are no list": (
        {"rules": "\noverrides: {a: 1}\n"},
        "rules.yaml:2: overrides: this section is given twice, first in params.yaml:5",
    ),
    "an include of an included file": (
        {"rules": "seed: 1\ninclude: [more/datasets.yaml]\n"},
        "rules.yaml:2: include: params.yaml alone includes files",
    ),
    "a name without a file": (
        {"params": MORE.format("rules.yaml, \n  ruels.yaml")},
        "params.yaml:2: include.1: 'ruels.yaml' matches no file",
    ),
    "a pattern without a file": (
        {"params": MORE.format("more/*.yml")},
        "params.yaml:1: include.0: 'more/*.yml' matches no file",
    ),
    "a folder": ({"params": MORE.format("more")}, "params.yaml:1: include.0: 'more' matches no file"),
    "nothing": ({"params": MORE.format("''")}, "params.yaml:1: include.0: '': Unacceptable pattern"),
    "a file of another folder": (
        {"params": MORE.format("../rules.yaml")},
        "params.yaml:1: include.0: '../rules.yaml' leads out of the folder of params.yaml",
    ),
    "a pattern that climbs": (
        {"params": MORE.format("more/../../*.yaml")},
        "params.yaml:1: include.0: 'more/../../*.yaml' leads out of the folder of params.yaml",
    ),
    "an absolute name": (
        {"params": MORE.format("/rules.yaml")},
        "params.yaml:1: include.0: '/rules.yaml' leads out of the folder of params.yaml",
    ),
    "a file twice": (
        {"params": MORE.format("rules.yaml, '*les.yaml'")},
        "params.yaml:1: include.1: '*les.yaml' includes rules.yaml again",
    ),
    "params.yaml itself": (
        {"params": MORE.format("'*.yaml'")},
        "params.yaml:1: include.0: '*.yaml' includes params.yaml again",
    ),
    "one name in place of a list": (
        {"params": "\ninclude: rules.yaml\n"},
        "params.yaml:2: include: write a list of names, relative to params.yaml",
    ),
    "numbers": ({"params": MORE.format("1")}, "params.yaml:1: include: write a list of names"),
    "an empty file": ({"rules": "# nothing\n"}, "rules.yaml: the file must be a mapping of sections"),
    "no YAML": ({"rules": "a: [\n"}, "rules.yaml:2: not valid YAML"),
    "an alias of another file": (
        {"params": MORE.format("rules.yaml") + "a: &a 1\n", "rules": "b:\n  - *a\n"},
        "rules.yaml:2: not valid YAML: found undefined alias",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_included_is_named_with_its_line(tmp_path, case):
    changes, message = REFUSED[case]
    assert refused(tmp_path, **changes).startswith(message)


# The small params.yaml in several files


def split(folder: Path, *sections: str) -> Path:
    """Write the small params.yaml with these sections in files of their own, in the order given."""
    whole = yaml.safe_load(small_params())
    files = {f"params/{name}.yaml": {name: whole.pop(name)} for name in sections}
    files["params.yaml"] = {"include": list(files), **whole}
    return write(folder, {name: yaml.safe_dump(data, sort_keys=False) for name, data in files.items()})


def test_runs_are_the_same_wherever_their_settings_lie(tmp_path):
    (tmp_path / "whole").mkdir()
    whole = write(tmp_path / "whole", {"params.yaml": small_params()})
    parts = split(tmp_path, "tables", "grids", "policies", "datasets", "tiers")
    for tier in ("full", "smoke"):
        expected, found = load_grid(tier, whole), load_grid(tier, parts)
        assert found.runs == expected.runs
        assert list(found.runs) == list(expected.runs)
        assert found.grids == expected.grids
        assert found.tables == expected.tables


def test_tables_stand_in_the_order_of_their_numbers(tmp_path):
    path = split(tmp_path, "tables")
    tables = yaml.safe_load((tmp_path / "params/tables.yaml").read_text())["tables"]
    more = {f"t{number}": {**tables["table1"], "number": number} for number in ("S10", "10", "S2", "2")}
    text = yaml.safe_dump({"tables": {"tableS1": tables["tableS1"], "table1": tables["table1"], **more}})
    (tmp_path / "params/tables.yaml").write_text(text)
    found = [table.number for table in load_grid("full", path).params.tables.values()]
    assert found == ["1", "2", "10", "S1", "S2", "S10"]


def test_resolve_names_the_file_of_every_value_and_the_reason_of_a_rule(tmp_path, monkeypatch, capsys):
    rule = "overrides:\n  - set: {optimizer.momentum: 0.8}\n    why: slower\n"
    text = small_params().replace(NO_RULES, "include: [params/rules.yaml]")
    write(tmp_path, {"params.yaml": text, "params/rules.yaml": rule})
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["resolve", "supervised/cifar10/resnet18/cutmix/dm_ce/s0", "--tier", "full"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[2:]}
    assert lines["optimizer.momentum"].endswith(" params/rules.yaml:2  (slower)")
    assert " params.yaml:" in lines["recipe.lr"]


def test_a_wrong_setting_is_named_in_its_file(tmp_path):
    path = split(tmp_path, "policies", "recipes")
    file = tmp_path / "params/recipes.yaml"
    file.write_text(file.read_text().replace("    epochs: 800\n", "    epohcs: 800\n"))
    with pytest.raises(DmixError) as caught:
        load_grid("full", path)
    assert str(caught.value).startswith(f"{file}:3: recipes.cifar.epohcs: unknown key")


def test_an_included_rule_that_matches_nothing_is_named_in_its_file(tmp_path):
    rule = "overrides:\n  - {when: {policy: mixup, kind: dynamic}, set: {recipe.lr: 1.0}, why: none is}\n"
    text = small_params().replace(NO_RULES, "include: [params/rules.yaml]\n" + NO_RULES)
    path = write(tmp_path, {"params.yaml": text, "params/rules.yaml": rule})
    with pytest.raises(DmixError, match="matches no cell") as caught:
        load_grid("full", path)
    assert str(caught.value).startswith(f"{tmp_path / 'params/rules.yaml'}:2: overrides.0: ")
