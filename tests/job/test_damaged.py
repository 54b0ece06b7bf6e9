"""A damaged run, a foreign checkpoint, a wrong option or promise: one message, and nothing trains."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dmix import cli
from dmix.data.sets.dataset import Dataset, Split
from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.grid.paths import RunPaths
from dmix.job import checkpoint
from dmix.job.options import Options
from dmix.job.train import train
from dmix.record import read_record
from job.conftest import NAME
from project import Project

CPU = Options("cpu")


@pytest.fixture(scope="module")
def home(tmp_path_factory, embedded_data):
    """A project in which one run is finished."""
    project = Project.create(tmp_path_factory.mktemp("damaged") / "project", embedded_data)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.path)
        assert train(load_grid("smoke"), NAME, CPU) == 0
        yield project


@pytest.fixture
def grid(home, monkeypatch):
    monkeypatch.chdir(home.path)
    return load_grid("smoke")


@pytest.fixture
def paths(grid):
    return RunPaths("smoke", grid.folders[NAME])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_run_is_refused_until_its_record_is_deleted(grid, paths):
    record = read_record(paths.record)
    paths.history.unlink()
    assert train(grid, NAME, CPU) == 0  # the work folder has the history too
    assert paths.history.exists()
    flip(paths.weights)
    for _ in range(2):
        with pytest.raises(DmixError, match=f"{NAME} is finished and damaged: weights") as caught:
            train(grid, NAME, CPU)
        assert f"rm {paths.record}, then dmix train {NAME} --tier smoke" in caught.value.way_out
    paths.record.unlink()  # what Snakemake does too; the record in the work folder is of other weights
    assert train(grid, NAME, CPU) == 0
    again = read_record(paths.record)
    assert (again.weights_sha256, again.scores) == (record.weights_sha256, record.scores)
    assert again.started >= record.finished
    (paths.work / "finished" / "history.csv").unlink()
    flip(paths.history)
    with pytest.raises(DmixError, match=r"is finished and damaged: history\.csv was cut or edited"):
        train(grid, NAME, CPU)
    paths.record.unlink()
    assert train(grid, NAME, CPU) == 0


@pytest.mark.slow
def test_the_workflow_does_not_take_a_damaged_run_for_done(home, grid, paths):
    whole = paths.weights.read_bytes()
    flip(paths.weights)
    try:
        done = home.snakemake("-n")
    finally:
        paths.weights.write_bytes(whole)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert f"1 finished runs of tier smoke are damaged: {NAME}: weights.safetensors" in said
    assert "Traceback" not in said
    assert NAME not in home.planned()


STATE = {"run": "", "trainer": {}, "resumes": 0, "started": "", "used": {}}
STATE |= {"seconds": 0.0, "process_seconds": 0.0}
FOREIGN = {
    "a list": ([1, 2], "is no checkpoint of a run"),
    "weights alone": ({"stem.weight": torch.zeros(2)}, "is that of another version of dmix"),
    "another run's": (
        {**STATE, "run": "supervised/other/s1-0-0"},
        "is that of another run, supervised/other",
    ),
    "no trainer": ({**STATE, "run": None, "trainer": {"step": 3}}, "does not fit this run"),
    "seconds of text": ({**STATE, "run": None, "seconds": "x"}, "does not fit this run"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_checkpoint_of_something_else_is_refused(grid, case):
    name = NAME.replace("cutmix", "mixup")
    found, message = FOREIGN[case]
    if isinstance(found, dict) and found.get("run", "") is None:
        found = {**found, "run": grid.folders[name]}
    mine = RunPaths("smoke", grid.folders[name])
    checkpoint.save(mine.checkpoint, found)
    with pytest.raises(DmixError, match=message) as caught:
        train(grid, name, CPU)
    assert "delete it to train this run from the start" in caught.value.way_out
    assert not mine.record.exists()
    mine.checkpoint.unlink()


def test_a_flipped_bit_of_a_checkpoint_is_seen(tmp_path):
    """torch's own reader does not see it, and training would go on from another number."""
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {"weight": torch.arange(1000.0)})
    whole = path.read_bytes()
    assert checkpoint.load(path, torch.device("cpu"))["weight"][500] == 500
    place = whole.index(torch.tensor(500.0).numpy().tobytes())
    path.write_bytes(whole[:place] + b"\x01" + whole[place + 1 :])
    assert torch.load(path, weights_only=True)["weight"][500] == 500 + 2**-15
    with pytest.raises(DmixError, match="is damaged: the checksum"):
        checkpoint.load(path, torch.device("cpu"))
    path.write_bytes(whole[:-100])
    with pytest.raises(DmixError, match="is damaged"):
        checkpoint.load(path, torch.device("cpu"))


@pytest.mark.parametrize(
    "option",
    [
        *(("--checkpoint-seconds", value) for value in ("nan", "inf", "-1", "1e9")),
        *(("--workers", value) for value in ("-1", "100000")),
    ],
)
def test_an_option_out_of_range_is_named(grid, capsys, option):
    assert cli.main(["train", NAME, "--tier", "smoke", "--device", "cpu", *option]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"dmix: {option[0]} is ")
    assert "give " in said


@pytest.mark.parametrize(
    "text", ["x", "[1]", "{}", '{"spec": 1, "code": "x"}', '{"spec": {}}', "[" * 100_000, '{"spec": NaN}']
)
def test_a_promise_that_is_none_is_refused(grid, capsys, text):
    assert cli.main(["train", NAME, "--tier", "smoke", "--promise", text]) == 2
    said = capsys.readouterr().err
    assert said.startswith("dmix: --promise is not valid")
    assert "start the workflow again" in said


@pytest.mark.parametrize("labels", [[3, 3, 3], [0, 1, 10], [0, -1, 2]])
def test_labels_with_which_nothing_can_be_learned_are_refused(labels):
    images = torch.zeros(3, 3, 2, 2, dtype=torch.uint8).numpy()
    right = Split(images, torch.arange(3).numpy())
    assert Dataset("d", "real", 10, {"train": right, "test": right}).fingerprint
    for name in ("train", "test"):
        splits = {"train": right, "test": right, name: Split(images, torch.tensor(labels).numpy())}
        with pytest.raises(DmixError, match=f"the {name} images of d .real edition.: "):
            Dataset("d", "real", 10, splits)
