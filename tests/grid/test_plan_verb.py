"""`dmix plan`, `dmix runs` and `dmix completion` as commands."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from dmix import cli
from dmix.grid.choose import Wanted, choose_runs
from dmix.grid.gpus import read_gpu
from dmix.grid.memory import Memories
from dmix.grid.shards import processes
from project import ROOT, real_grid, small_params

FIRST = ("--tables", "table1", "--seeds", "0")


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small(here):
    (here / "params.yaml").write_text(small_params())
    return here


@pytest.fixture
def full(here, monkeypatch):
    """The repository's grid, made once for all tests."""
    grids = cache(lambda tier: real_grid(tier).restricted(real_grid(tier).runs))
    for verb in ("plan", "runs"):
        monkeypatch.setattr(f"dmix.verbs.{verb}.load_grid", grids)
    return real_grid("full")


def test_the_plan_of_table_1_on_eight_gpus_says_runs_hours_days_and_disk(full, capsys):
    command = ["plan", "--tier", "full", "--gpu", "a100", "--gpus", "8", *FIRST]
    assert cli.main([*command, "--save", "first", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    expected = choose_runs(full, Wanted(tables=("table1",), seeds=(0,)))
    assert tuple(said["runs"]) == expected
    assert said["tables"][0]["runs"] == len(expected) > 50
    hours = [run["hours"] for run in said["runs"].values()]
    assert said["hours"] == pytest.approx(sum(hours))
    assert max(sum(hours) / 8, max(hours)) / 24 <= said["days"] <= (sum(hours) / 8 + max(hours)) / 24
    ends = [run["schedule"]["end"] for run in said["runs"].values()]
    assert max(ends) / 24 == pytest.approx(said["days"])
    assert {gpu for run in said["runs"].values() for gpu in run["schedule"]["gpus"]} == set(range(8))
    assert said["disk"]["total_gb"] > said["disk"]["weights_gb"] > len(expected) * 0.04
    assert said["bases"] == {"assumed": len(expected)}
    lines = Path("results/full/selections/first.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [*expected]

    assert cli.main([*command, "--runs"]) == 0
    text = capsys.readouterr().out
    (row,) = re.findall(r"(?m)^all +(\d+) +\d+ +\d+ +(\d+) +([\d,.]+) +([\d.]+)", text)
    assert row == (
        str(len(expected)),
        str(len(expected)),
        f"{said['hours']:,.1f}",
        f"{said['days']:,.2f}",
    )
    assert re.search(r"(?m)^disk: [\d.]+ GB: weights", text)
    assert all(f" {name}\n" in text for name in expected)

    assert cli.main(["runs", "--tier", "full", "--select", "first", "--policies", "mixup"]) == 0
    listed = capsys.readouterr().out.split()
    assert listed == [name for name in expected if "/mixup/" in name]


def test_the_plan_says_which_runs_take_several_gpus_for_their_memory_and_which_fit_on_none(full, capsys):
    """RSB A3 with synchronised statistics takes fewer images on each of four GPUs; no other recipe gains."""
    command = ["plan", "--tier", "full", "--gpu", "a10", "--gpus", "8", "--tables", "table4", "--seeds", "0"]
    assert cli.main([*command, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["runs"]
    memories = Memories(full, read_gpu("a10"), [], {})
    assert said
    for name, run in said.items():
        recipe = full.runs[name].settings["recipe"]
        needs = {k: memories.of(name, k).mb for k in processes(recipe)}
        fits = [k for k, mb in needs.items() if mb + 600 <= 0.9 * 24e9 / 2**20]
        count = fits[0] if fits else min(needs, key=needs.__getitem__)
        assert (run["sharing"]["processes"], run["sharing"]["fits"]) == (count, bool(fits))
        assert run["sharing"]["memory"] == {"mb": needs[count], "basis": "estimated"}
        assert len(run["schedule"]["gpus"]) == count
        start, end = run["schedule"]["start"], run["schedule"]["end"]
        assert (end - start) * count == pytest.approx(run["hours"])
    several = [
        name for name, run in said.items() if run["sharing"]["fits"] and run["sharing"]["processes"] > 1
    ]
    none = [name for name, run in said.items() if not run["sharing"]["fits"]]
    assert several
    assert none
    assert cli.main(command) == 0
    text = capsys.readouterr().out
    assert re.search(rf"(?m)^  {len(several)} runs take 4 GPUs each, for their memory: {several[0]} \(", text)
    assert re.search(
        rf"(?m)^  {len(none)} runs need more than the 24 GB of a10: {none[0]} \(.* estimated", text
    )
    assert "    measure it (dmix measure), take a GPU with more memory" in text
    assert re.search(r"(?m)^days on 8 a10s, one run on each at a time, some on several: ", text)


def test_runs_are_listed_by_state(small, capsys):
    assert cli.main(["runs"]) == 0
    every = capsys.readouterr().out.split()
    assert cli.main(["runs", "--state", "missing", "--policies", "mixup", "--seeds", "1"]) == 0
    missing = capsys.readouterr().out.split()
    assert missing == [name for name in every if "/mixup/" in name and name.endswith("/s1")]
    assert cli.main(["runs", "--state", "done"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("plan", "--gpus", "0"), "--gpus is 0"),
        (("plan", "--gpu", "b52"), "has no GPU 'b52'"),
        (("plan", "--tables", "table9"), "--tables table9"),
        (("plan", "--save", "../x"), "cannot name a selection"),
        (("runs", "--select", "nothing"), "cannot read"),
        (("measure", "--seconds", "0"), "--seconds is 0"),
        (("measure", "--together", "0"), "--together"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(small, capsys, options, message):
    assert cli.main([*options]) == 2
    assert message in capsys.readouterr().err
    assert not (small / "results/embedded/selections").exists()


def test_bash_completes_commands_options_and_selections(small, capsys):
    assert cli.main(["plan", "--save", "mine"]) == 0
    capsys.readouterr()
    assert cli.main(["completion", "bash"]) == 0
    script = small / "dmix.sh"
    script.write_text(capsys.readouterr().out)

    def complete(*words):
        quoted = " ".join(f"'{word}'" for word in words)
        ask = (
            f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
            'name=$(complete -p dmix | sed "s/.*-F \\([^ ]*\\).*/\\1/"); $name; echo "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, timeout=60)
        return done.stdout.split()

    assert set(complete("dmix", "pl")) == {"plan"}
    assert "--gpus" in complete("dmix", "plan", "--gp")
    assert complete("dmix", "plan", "--select", "m") == ["mine"]
    assert complete("dmix", "weights", "--to", "ti") == ["timm"]
    assert complete("dmix", "evaluate", "params.y") == ["params.yaml"]  # a file stands for a run


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_a_script_too(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    assert "plan" in capsys.readouterr().out
