"""What the verbs that look at files say, on files laid by hand."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from dmix import cli
from dmix.errors import DmixError
from dmix.grid.code import code_modules
from dmix.grid.cost import estimated_seconds
from dmix.grid.expand import load_grid
from dmix.grid.finished import refuse_damaged
from project import ROOT, small_params

ROW = "supervised/cifar10/resnet18"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").write_text(small_params())
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def finish(here: Path, name: str, **content: object) -> Path:
    """Lay what a finished run of dmix before version 2 of the record leaves; return the folder."""
    place, weights = run_folder(here, "results", name), run_folder(here, "weights", name)
    digest = hashlib.sha256(b"weights").hexdigest()
    lay(place, "record.json", schema_version=1, weights_sha256=digest, **content)
    weights.mkdir(parents=True, exist_ok=True)
    (weights / "weights.safetensors").write_bytes(b"weights")
    (place / "history.csv").write_bytes(b"step\n")
    return place


def lay(place: Path, name: str, **content: object) -> Path:
    path = place / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def run_folder(here: Path, root: str, name: str) -> Path:
    roots = {"results": "results/embedded/records", "weights": "results/embedded/weights"}
    return here / roots.get(root, "work/embedded") / load_grid("embedded").folders[name]


def status_of(capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, dict[str, str]]:
    capsys.readouterr()
    assert cli.main(["status", "--json"]) == code
    tables = json.loads(capsys.readouterr().out)["tables"]
    return {name: entry for table in tables.values() for name, entry in table.items()}


def test_status_tells_the_states_apart(here, capsys):
    finish(here, f"{ROW}/mixup/mce/s0")
    running = run_folder(here, "work", f"{ROW}/mixup/mce/s1")
    lay(running, "lock")
    lay(running, "progress.json", step=7, total=100, loss=1.25, seconds_left=12.0, host="node1", pid=1)
    lay(run_folder(here, "work", f"{ROW}/mixup/mce/s2"), "checkpoint.pt")
    failed = run_folder(here, "work", f"{ROW}/cutmix/mce/s0")
    failed.mkdir(parents=True)
    (failed / "failure.txt").write_text("it broke\n  do this\n")
    dead = lay(run_folder(here, "work", f"{ROW}/cutmix/mce/s1"), "lock")
    os.utime(dead, (time.time() - 1000, time.time() - 1000))
    found = status_of(capsys, code=1)
    states = {name: found[name]["state"] for name in found if name.startswith(ROW) and "/mce/" in name}
    assert states[f"{ROW}/mixup/mce/s0"] == "done"
    assert states[f"{ROW}/mixup/mce/s1"] == "running"
    assert states[f"{ROW}/mixup/mce/s2"] == "stopped"
    assert states[f"{ROW}/cutmix/mce/s0"] == "failed"
    assert states[f"{ROW}/cutmix/mce/s1"] == "missing"
    assert states[f"{ROW}/ghost/mce/s0"] == "not yet implemented"
    assert (
        found[f"{ROW}/mixup/mce/s1"]["detail"]
        == "step 7 of 100, loss 1.250, less than a minute left, on node1"
    )
    assert found[f"{ROW}/cutmix/mce/s0"]["detail"] == "it broke"
    assert cli.main(["status"]) == 1
    plain = capsys.readouterr().out
    assert "embedded tableS1: 1 done, 1 running, 1 failed, 1 stopped, 11 missing" in plain
    assert f"failed: {ROW}/cutmix/mce/s0: it broke\n  do this\n" in plain


def test_plan_says_why_and_how_long(here, capsys):
    grid = load_grid("embedded")
    name = f"{ROW}/cutmix/dm_ce/s0"
    spec = grid.runs[name]
    identity = json.loads(json.dumps(spec.identity()))
    identity["objective"]["eta"] = 0.5
    old = here / "results/embedded/records" / f"{name}-00000000-00000000"
    lay(old, "record.json", spec=identity, code_modules=dict(code_modules(spec)))
    name_code = f"{ROW}/mixup/mce/s0"
    modules = {**code_modules(grid.runs[name_code]), "dmix.policies.mixup": "00000000"}
    older = here / "results/embedded/records" / f"{name_code}-00000000-00000000"
    lay(older, "record.json", spec=grid.runs[name_code].identity(), code_modules=modules)
    capsys.readouterr()
    assert cli.main(["plan", "--why"]) == 0
    text = capsys.readouterr().out
    assert f"{name}: objective.eta: 0.5 -> 0.1" in text
    assert f"{name_code}: code of dmix.policies.mixup changed" in text
    assert f"{ROW}/vanilla/ce/s0: new" in text
    assert "not yet implemented: dmix/policies/ghost.py" in text
    assert cli.main(["plan", "--json"]) == 0
    tables = {row["table"]: row for row in json.loads(capsys.readouterr().out)["tables"]}
    assert tables["tableS1"]["to_train"] == 15
    # 15 runs at the tier's own estimate of 4 s
    assert tables["tableS1"]["hours"] == pytest.approx(15 * 4 / 3600)


def test_measured_runs_replace_the_estimate(here, capsys):
    hardware = {"device": "cpu", "peak_memory_mb": 400.0}
    finish(here, f"{ROW}/mixup/mce/s0", seconds=3600.0, hardware=hardware, parameters=1000)
    capsys.readouterr()
    assert cli.main(["plan", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["tables"][1]
    # mixup: five of six runs are left at one hour each; the other nine at the estimate of 4 s
    assert row["hours"] == pytest.approx(5 + 9 * 4 / 3600)


FAULTS = {
    "no weights": ("weights.safetensors", None, "weights.safetensors cannot be read: No such file"),
    "cut weights": ("weights.safetensors", b"weight", "weights.safetensors was cut or edited"),
    "a flipped bit": ("weights.safetensors", b"veights", "weights.safetensors was cut or edited"),
    "no history": ("history.csv", None, "history.csv cannot be read: No such file"),
    "an empty record": ("record.json", b"", "record.json is not valid JSON"),
    "a record of half an object": ("record.json", b'{"seconds": 1', "record.json is not valid JSON"),
    "a record that is a list": ("record.json", b"[1]", "record.json is not valid: it is no JSON object"),
    "a record with text for seconds": ("record.json", b'{"seconds": "x"}', "record.json was edited"),
    "a record too deep": ("record.json", b'{"a":' * 100_000, "record.json is not valid JSON: too many"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_finished_run_with_other_files_than_its_record_says_is_damaged(here, capsys, fault):
    name, (file, content, problem) = f"{ROW}/mixup/mce/s0", FAULTS[fault]
    place = finish(here, name)
    assert status_of(capsys)[name] == {"state": "done", "detail": ""}
    path = (run_folder(here, "weights", name) if file.startswith("weights") else place) / file
    path.unlink() if content is None else path.write_bytes(content)
    found = status_of(capsys)[name]
    assert (found["state"], found["detail"].partition(";")[0][: len(problem)]) == ("damaged", problem)
    assert f"dmix train {name} --tier embedded" in found["detail"]  # the way out
    assert cli.main(["plan", "--why"]) == 0
    assert f"{name}: damaged: {problem}" in capsys.readouterr().out
    assert cli.main(["plan", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)["tables"][1]
    assert (table["done"], table["to_train"]) == (0, 15)
    assert cli.main(["collect"]) == 0
    (line,) = [line for line in Path("results/embedded/frame.csv").read_text().splitlines() if name in line]
    assert ",damaged," in line or ",invalid," in line
    with pytest.raises(DmixError, match=f"1 finished runs .* damaged: {name}: {problem}") as caught:
        refuse_damaged(load_grid("embedded"))
    assert f"dvc pull {place.relative_to(here)}" in caught.value.way_out
    shutil.rmtree(place)
    refuse_damaged(load_grid("embedded"))


def test_full_scale_estimate_is_images_times_operations():
    grid = load_grid("full", ROOT / "params.yaml")
    seconds = estimated_seconds(grid, "supervised/cifar100/resnet18/mixup/mce/s0")
    # 800 epochs of 50,000 images, three forwards' worth of 1.11 GFLOP each, at 0.4 of an A100's 19.5 TFLOP/s
    assert seconds == pytest.approx(800 * 50_000 * 3 * 1.11e9 / (0.4 * 19.5e12))
    assert estimated_seconds(grid, "supervised/cifar100/resnet18/automix/mce/s0") == pytest.approx(
        3 * seconds
    )


def test_resolve_names_the_line_of_every_value(here, capsys):
    assert cli.main(["resolve", f"{ROW}/cutmix/dm_ce/s0", "--tier", "full"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[2:]}
    text = (here / "params.yaml").read_text().splitlines()

    def line_of(key: str) -> str:
        where = next(word for word in lines[key].split() if word.startswith("params.yaml:"))
        return text[int(where.rpartition(":")[2]) - 1]

    assert "epochs: 800" in line_of("recipe.epochs")
    assert "static: {objective.eta: 0.1, policy.alpha: 0.2}" in line_of("objective.eta")
    assert "static: {objective.eta: 0.1, policy.alpha: 0.2}" in line_of("policy.alpha")
    assert "neutral value" in lines["optimizer.nesterov"]


def test_gc_lists_what_no_grid_names_and_deletes_only_when_told(here, capsys):
    kept = lay(run_folder(here, "results", f"{ROW}/mixup/mce/s0"), "record.json")
    old = lay(here / f"results/embedded/records/{ROW}/mixup/mce/s0-00000000-11111111", "record.json")
    left = lay(here / f"work/embedded/{ROW}/gone/mce/s0-00000000-11111111", "log.txt")
    assert cli.main(["gc"]) == 0
    assert capsys.readouterr().out.count("unused ") == 2
    assert old.exists()
    assert cli.main(["gc", "--delete"]) == 0
    assert kept.exists()
    assert not old.exists()
    assert not left.exists()
    assert old.parents[1].exists()  # only folders of runs go


def test_an_unknown_tier_and_table_are_named(here, capsys):
    assert cli.main(["plan", "--tier", "huge"]) == 2
    assert "no tier named 'huge'" in capsys.readouterr().err
    assert cli.main(["table", "table9"]) == 2
    assert "there is no table 'table9'" in capsys.readouterr().err
    title = "    title: embedded scale, minutes on a CPU\n"
    left_out = f"{title}    omit: [cifar10_vanilla, cifar10]\n"
    (here / "params.yaml").write_text(small_params().replace(title, left_out))
    assert cli.main(["table", "tableS1"]) == 2
    assert "there is no table 'tableS1' at tier embedded" in capsys.readouterr().err


def test_outside_the_repository_it_says_where_to_be(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["plan"]) == 2
    assert "run dmix in the repository's root" in capsys.readouterr().err
