"""Values that would change a grid or a number in silence are refused, with file, line and the way out."""

from __future__ import annotations

import re
import time

import pytest

from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.grid.yaml_lines import MOST_LEVELS, load
from project import NO_RULES, ROOT, small_params

GRID = "    dataset: cifar10\n    backbone: resnet18\n    policy: [mixup, cutmix, ghost]\n"
SMOKE = "      smoke: {epochs: 2, batch_size: 250} # a few steps"

# edit of the small parameters -> what the message says
CASES = {
    "a seed twice": (("seeds: [0, 1, 2]", "seeds: [0, 1, 1]"), "seeds: a seed is given twice"),
    "no seeds": (("seeds: [0, 1, 2]", "seeds: []"), "seeds: Tuple should have at least 1 item"),
    "a seed below 0": (("seeds: [0, 1, 2]", "seeds: [-1]"), "seeds.0: Input should be greater than or equal"),
    "no seeds of a tier": (("    seeds: [0]\n", "    seeds: []\n"), "tiers.smoke.seeds: Tuple should"),
    "a seed of a tier twice": (("    seeds: [0]\n", "    seeds: [0, 0]\n"), "tiers.smoke.seeds: a seed is"),
    "no seeds of a grid": ((GRID, GRID + "    seeds: []\n"), "grids.cifar10.seeds: the list is empty"),
    "a seed of a grid twice": ((GRID, GRID + "    seeds: [3, 3]\n"), "grids.cifar10.seeds: 3 is given twice"),
    "a seed that is true": ((GRID, GRID + "    seeds: [true]\n"), "grids.cifar10.seeds: seeds are whole"),
    "no policies": (
        (GRID, GRID.replace("mixup, cutmix, ghost", "")),
        "grids.cifar10.policy: the list is empty",
    ),
    "a policy twice": (
        (GRID, GRID.replace("ghost", "mixup")),
        "grids.cifar10.policy: 'mixup' is given twice",
    ),
    "a policy that is a list": ((GRID, GRID.replace("ghost", "[mixup]")), "there is no policy named"),
    "no rates": ((GRID, GRID + "    recipe.lr: []\n"), "grids.cifar10.recipe.lr: the list is empty"),
    "a rate twice": (
        (GRID, GRID + "    recipe.lr: [0.1, 0.10]\n"),
        "grids.cifar10.recipe.lr: 0.1 is given twice",
    ),
    "a narrowed grid without policies": (
        ("    seeds: [0]\n", "    seeds: [0]\n    narrow: {cifar10: {policy: []}}\n"),
        "tiers.smoke.narrow.cifar10.policy: the list is empty",
    ),
    "a rate that is true": (
        ("    lr: 0.1\n", "    lr: true\n"),
        "recipes.cifar.lr: Input should be a valid number",
    ),
    "a count that is true": (
        ("    eval_every: 20", "    eval_every: on"),
        "recipes.cifar.eval_every: Input should be",
    ),
    "a setting of a part that is true": (
        ("momentum: 0.9}", "momentum: true}"),
        "recipes.cifar.optimizer.momentum: Input should be a valid number",
    ),
    "a title that is no": (
        ("title: CutMix", "title: no"),
        "policies.cutmix.title: Input should be a valid string",
    ),
    "a sexagesimal number": (
        ("    epochs: 800\n", "    epochs: 1:30\n"),
        "recipes.cifar.epochs: '1:30' is no plain",
    ),
    "a sexagesimal fraction": (
        ("    lr: 0.1\n", "    lr: 0:30.5\n"),
        "recipes.cifar.lr: '0:30.5' is no plain",
    ),
    "an octal number": (
        ("    epochs: 800\n", "    epochs: 0800\n"),
        "recipes.cifar.epochs: Input should be a valid int",
    ),
    "another octal number": (
        ("    epochs: 800\n", "    epochs: 010\n"),
        "recipes.cifar.epochs: '010' is no plain",
    ),
    "a number in text": (
        ("    epochs: 800\n", '    epochs: "800"\n'),
        "recipes.cifar.epochs: Input should be a valid int",
    ),
    "infinity": (("    lr: 0.1\n", "    lr: .inf\n"), "recipes.cifar.lr: '.inf' is no plain finite"),
    "not a number": (("    lr: 0.1\n", "    lr: .nan\n"), "recipes.cifar.lr: '.nan' is no plain finite"),
    "a number that overflows": (
        ("    lr: 0.1\n", "    lr: 1.0e+999\n"),
        "recipes.cifar.lr: '1.0e+999' is no plain",
    ),
    "infinity in text": (
        ("momentum: 0.9}", 'momentum: "inf"}'),
        "optimizer.momentum: Input should be a valid number",
    ),
    "an absurd rate": (("    lr: 0.1\n", "    lr: 1.0e+6\n"), "recipes.cifar.lr: Input should be less than"),
    "an absurd length": (
        ("    epochs: 800\n", "    epochs: 80000000\n"),
        "recipes.cifar.epochs: Input should be less",
    ),
    "a number of 5,000 digits": (
        ("    epochs: 800\n", f"    epochs: {'8' * 5000}\n"),
        "recipes.cifar.epochs: '888",
    ),
    "an absurd setting of a part": (
        ("beta: 1.2\n", "beta: 1.2e+30\n"),
        "policies.puzzlemix.beta: 1.2e+30 is larger",
    ),
    "a spread of 0": (("std: [0.2023, ", "std: [0, "), "recipes.cifar.std: Input should be greater than 0"),
    "a date": (("title: CutMix", "title: 2020-01-01"), "policies.cutmix.title: no text, number, true, false"),
    "a key that is no": (("  cutmix: {title", "  no: {title"), "policies.no: YAML reads this key as False"),
    "a tier named ..": (("  smoke:\n    title", "  ..:\n    title"), "tiers...: '..' cannot be a name"),
    "a tier with a slash": (
        ("  smoke:\n    title", "  a/b:\n    title"),
        "tiers.a/b: 'a/b' cannot be a name",
    ),
    "an entry with a line break": (
        ("  cutmix: {title", '  "cut\\nmix": {title'),
        r"policies: the key 'cut\nmix' has characters that cannot be seen",
    ),
    "a module outside its folder": (
        ("  dm_bce:\n", "  dm_bce:\n    use: ../policies/cutmix\n"),
        "objectives.dm_bce.use: String should match",
    ),
    "a module outside its folder by a rule": (
        (NO_RULES, "overrides: [{set: {optimizer.use: ../x}, why: test}] # ordered"),
        "overrides.0.set.optimizer.use: '../x' is no name of a module",
    ),
    "a control character": (("title: CutMix", 'title: "Cut\\x07Mix"'), "policies.cutmix.title: the text has"),
    # Wrong at one tier alone, and found at every other.
    "a rate that two tiers override": (
        ("    lr: 0.1\n", "    lr: -1\n"),
        "recipes.cifar.lr: Input should be greater",
    ),
    "a rate of one tier": (
        (SMOKE, SMOKE.replace("epochs: 2", "epochs: 2, lr: -1")),
        "smoke.lr: Input should be greater",
    ),
    "an unknown setting of one tier": (
        (SMOKE, SMOKE.replace("epochs: 2", "epohcs: 2")),
        "smoke.epohcs: unknown key",
    ),
    "a rule of one tier": (
        ("set: {recipe.epochs: 6}", "set: {recipe.epochs: -6}"),
        "tiers.embedded.overrides.0.set.recipe.epochs: Input should be greater",
    ),
    "a grid left out by one tier": (
        ("    seeds: [0]\n", "    seeds: [0]\n    omit: [cifar11]\n"),
        "tiers.smoke.omit: no grid named 'cifar11'",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_its_line_at_every_tier(case, tmp_path):
    (old, new), message = CASES[case]
    text = small_params()
    if case == "a rate that two tiers override":
        text = text.replace("{epochs: 5, batch_size: 50}", "{epochs: 5, batch_size: 50, lr: 0.1}")
    assert text.count(old) == 1, old
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new))
    tier = "embedded" if "tier" in case else "full"
    with pytest.raises(DmixError) as caught:
        load_grid(tier, path)
    assert caught.value.exit_code == 2
    assert message in caught.value.message
    assert caught.value.message.startswith(f"{path}:")
    assert caught.value.message.isprintable()


def test_a_number_without_a_point_is_a_number(tmp_path):
    """YAML 1.1 reads 1e-3 as a text, which was then read as a number, and true with it."""
    path = tmp_path / "params.yaml"
    path.write_text(small_params().replace("    lr: 0.1\n", "    lr: 1e-1\n"))
    name = "supervised/cifar10/resnet18/mixup/mce/s0"
    path.with_name("other.yaml").write_text(small_params())
    assert load_grid("full", path).runs[name] == load_grid("full", path.with_name("other.yaml")).runs[name]


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
EXPLODING = {
    "aliases of aliases": (LAUGHS.encode(), "the file is too large or too deep"),
    "an alias of itself": (b"a: &a [*a]\n", "the file is too large or too deep"),
    "many lists": (b"a: " + b"[" * 100_000, "the file is too large or too deep"),
    "many maps": (b"a: " + b"{b: " * 100_000, "the file is too large or too deep"),
    "many dashes": (b"- " * 100_000, "the file is too large or too deep"),
    "many keys": (b"".join(b"k%d: 1\n" % i for i in range(30_000)), "the file is too large or too deep"),
    "a large file": (b"a: " + b"x" * 2**21, "more than 1048576 bytes"),
    "latin-1": ("a: 1\ntitle: M\xfcller\n".encode("latin-1"), ":2: byte 0xfc is not UTF-8"),
    "utf-16": ("a: 1\n".encode("utf-16"), ":1: byte 0xff is not UTF-8"),
    "a control character": (b"a: 1\nb: \x07\n", ":2: the control character U+0007"),
    "a NUL": (b"a: 1\n\x00", ":2: the control character U+0000"),
    "half a surrogate pair": (b'a: "\\ud800"\n', "params.yaml:1: "),
    "two documents": (b"a: 1\n---\nb: 2\n", "not valid YAML"),
    "an object": (b"a: !!python/object/apply:os.system [ls]\n", ":1: a: no text, number"),
    "a set": (b"a: !!set {b, c}\n", ":1: a: no text, number"),
    "a binary": (b"a: !!binary aGk=\n", ":1: a: no text, number"),
    "a merge": (b"b: &b {c: 1}\na: {<<: *b}\n", ":2: a: no text, number"),
    "a false integer": (b"a: !!int x\n", ":1: a: 'x' is no plain"),
    "a key that is a list": (b"{[a]: 1}\n", "params.yaml:1"),
    "no mapping": (b"- a\n", "the file must be a mapping"),
    "nothing": (b"", "the file must be a mapping"),
    "a tag alone": (b"!\n", "the file must be a mapping"),
}


@pytest.mark.parametrize("case", EXPLODING)
def test_a_file_that_explodes_or_is_no_text_costs_one_message(case, tmp_path):
    content, message = EXPLODING[case]
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    started = time.process_time()
    with pytest.raises(DmixError) as caught:
        load(path)
    assert time.process_time() - started < 5
    assert message in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.message.isprintable()


def test_the_levels_are_enough_for_people_and_no_more(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("a: " + "[" * (MOST_LEVELS - 1) + "]" * (MOST_LEVELS - 1))
    assert load(path).data["a"]
    path.write_text("a: " + "[" * MOST_LEVELS + "]" * MOST_LEVELS)
    with pytest.raises(DmixError, match="too deep"):
        load(path)


# Where JSON and CSV are read besides: what this process, or the one it just started, has written.
OWN = {
    "accept/replay.py": {"json.loads", "csv.DictReader"},
    "accept/traced.py": {"json.loads"},
    "accept/tree.py": {"json.loads"},
    "grid/promise.py": {"json.loads"},
    "grid/history.py": {"csv.reader"},  # no two methods have the same columns
    "report/valid.py": {"json.loads"},
    "job/helper.py": {"json.loads"},
    "holder.py": {"json.loads"},
    "doctor/kept.py": {"json.loads"},  # a list that DVC wrote, whose MD5 is the one in dvc.lock
}


def test_yaml_json_and_csv_are_read_by_one_door_each():
    doors = {"reading.py", "grid/yaml_lines.py"}
    call = re.compile(r"\b(?:json\.loads?|csv\.(?:reader|DictReader)|yaml\.\w+|pd\.read_\w+)(?=\()")
    found = {}
    for path in (ROOT / "src/dmix").rglob("*.py"):
        name = path.relative_to(ROOT / "src/dmix").as_posix()
        if name not in doors and (calls := set(call.findall(path.read_text()))):
            found[name] = calls
    assert not {name: more for name, calls in found.items() if (more := calls - OWN.get(name, set()))}
