"""`dmix evaluate` without a kind: the recorded accuracies again, from files wherever they are."""

from __future__ import annotations

import hashlib

import pytest
import safetensors.torch
import torch

from dmix import cli
from dmix.record import read_record
from every_task import CUTMIX, FIXMATCH, PREDICTIONS, RUNS, copied, edit, fields, weights_of


@pytest.fixture
def away(tmp_path, embedded_data, monkeypatch):
    """A folder with the data, and neither parameters nor runs."""
    (tmp_path / "data").symlink_to(embedded_data)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sent(every_task, away):
    """The folder of the CutMix run, copied to where nothing else is."""
    return copied(every_task[CUTMIX], away / "sent")


def evaluate(place, *more):
    return cli.main(["evaluate", str(place), "--device", "cpu", *more])


def verdict(told, prediction):
    """The rest of the line of a prediction: recorded, here, top-5 and what is said of them."""
    (line,) = (line.split() for line in told.splitlines() if line.startswith(f"  {prediction} "))
    return float(line[1]), float(line[2]), " ".join(line[4:])


# The same again


@pytest.mark.parametrize("name", RUNS)
def test_every_recorded_accuracy_comes_out_again_bit_for_bit(name, every_task, away, capfd):
    record = read_record(every_task[name] / "record.json")
    assert list(record.scores) == PREDICTIONS[name]
    assert evaluate(weights_of(every_task[name])) == 0
    told = capfd.readouterr().out
    for prediction, scores in record.scores.items():
        shown = round(scores.last, 2)
        assert verdict(told, prediction) == (shown, shown, "equal bit for bit")
    assert "as history.csv has it" in told
    assert not (away / "work").exists()


def test_a_run_of_the_project_is_named(every_task, monkeypatch, capfd):
    folder = every_task[CUTMIX]
    monkeypatch.chdir(next(place for place in folder.parents if (place / "params.yaml").exists()))
    assert evaluate(CUTMIX, "--tier", "smoke") == 0
    assert f"{CUTMIX}: 250 test images of cifar10 (embedded), on cpu" in capfd.readouterr().out
    unfinished = CUTMIX.replace("dm_ce", "mce")
    assert evaluate(unfinished, "--tier", "smoke") == 1
    assert f"{unfinished} is not finished" in capfd.readouterr().err


@pytest.mark.parametrize("place", ["", "record.json", "weights.safetensors", "other.safetensors"])
def test_the_folder_and_each_file_of_it_mean_the_run(place, sent, capfd):
    (sent / "weights.safetensors").rename(sent / "weights.tmp")
    (sent / "weights.tmp").rename(sent / (place if place.startswith("other") else "weights.safetensors"))
    assert evaluate(sent / place) == 0
    assert "equal bit for bit" in capfd.readouterr().out


def test_without_its_history_the_record_alone_is_compared(sent, capfd):
    (sent / "history.csv").unlink()
    assert evaluate(sent) == 0
    assert f"{sent}/history.csv is not there to compare it with" in capfd.readouterr().out


# Another one


def test_accuracies_of_other_weights_differ(sent, capfd):
    """They are measured: a record that was made to fit other weights is found out."""
    weights = sent / "weights.safetensors"
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: value.flatten()[torch.randperm(value.numel(), generator=generator)].view_as(value)
        for name, value in safetensors.torch.load_file(weights).items()
    }
    safetensors.torch.save_file(tensors, weights)
    edit(sent, weights_sha256=hashlib.sha256(weights.read_bytes()).hexdigest())
    assert evaluate(sent) == 1
    recorded, here, said = verdict(capfd.readouterr().out, "model")
    images = round(abs(recorded - here) * 250 / 100)
    assert images > 0
    assert said == f"DIFFERS by {images} images"


@pytest.mark.parametrize("key", ["last", "median_last10", "best"])
def test_an_edited_score_differs(key, sent, capfd):
    scores = fields(sent)["scores"]
    edit(sent, scores={"model": {**scores["model"], key: 99.6}})
    assert evaluate(sent) == 1
    told = capfd.readouterr().out
    assert "DIFFERS: scores.model: " in told
    assert (verdict(told, "model")[2] == "equal bit for bit") == (key != "last")


def test_an_edited_number_of_the_tables_differs(sent, capfd):
    edit(sent, score=99.6)
    assert evaluate(sent) == 1
    told = capfd.readouterr().out
    assert "DIFFERS: score: 99.6 in record.json, " in told
    assert verdict(told, "model")[2] == "equal bit for bit"


def test_what_is_another_than_then_is_told_with_a_difference(sent, capfd):
    versions = {**fields(sent)["versions"], "torch": "2.0.0"}
    edit(sent, score=99.6, code_digest="0" * 8, versions=versions)
    assert evaluate(sent) == 1
    told = capfd.readouterr().out
    assert "code: 00000000 then, " in told
    assert f"torch: 2.0.0 then, {torch.__version__} here" in told


@pytest.mark.parametrize(("images", "status"), [(1, 0), (2, 1)])
def test_a_run_of_a_gpu_may_differ_by_a_documented_number_of_images(images, status, sent, capfd):
    found = fields(sent)
    last = found["scores"]["model"]["last"]
    moved = 100.0 * (round(last * 250 / 100) + images) / 250
    (sent / "history.csv").unlink()
    hardware = {**found["hardware"], "device": "NVIDIA H100"}
    edit(sent, hardware=hardware, scores={"model": {**found["scores"]["model"], "last": moved}})
    assert evaluate(sent) == status
    said = verdict(capfd.readouterr().out, "model")[2]
    assert said == ("DIFFERS by 2 images" if status else "differs by 1 images, of 1 that a GPU may move")


def test_weights_of_later_steps_than_the_last_evaluation_are_not_compared(every_task, away, capfd):
    """The full tier's recipes that count steps end some steps after their last evaluation."""
    sent = copied(every_task[FIXMATCH], away / "sent")
    (sent / "history.csv").unlink()
    *before, _ = fields(sent)["evaluations"]
    edit(sent, evaluations=[*before, 3])
    assert evaluate(sent) == 0
    said = verdict(capfd.readouterr().out, "clean")[2]
    assert said == "not compared: the recorded one is of 2 steps before"


# Refused


@pytest.mark.parametrize("name", ["weights.safetensors", "history.csv"])
def test_a_flipped_byte_is_refused(name, sent, capfd):
    path = sent / name
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    assert evaluate(sent) == 1
    told = capfd.readouterr()
    assert f"{path} was cut or edited: its sha256 is not the one in record.json" in told.err
    assert not told.out


def test_a_record_that_was_edited_without_its_seal_is_refused(sent, capfd):
    path = sent / "record.json"
    path.write_text(path.read_text().replace('"resumes": 0', '"resumes": 1'))
    assert evaluate(sent) == 1
    assert f"the record {path} is not valid: it was edited after it was written" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nowhere.safetensors", "there is no file or folder nowhere.safetensors"),
        ("./nowhere", "there is no file or folder nowhere"),
        ("data", "there is no record data/record.json"),
    ],
)
def test_a_place_without_a_run_is_named(place, message, away, capfd):
    assert evaluate(place) == 2
    assert message in capfd.readouterr().err


def test_missing_weights_are_named(sent, capfd):
    (sent / "weights.safetensors").unlink()
    assert evaluate(sent) == 1
    assert f"cannot read {sent}/weights.safetensors: No such file" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"policy": {"use": "ghost"}}, "needs policy 'ghost', which is not here: dmix.policies.ghost"),
        ({"future": {"use": "x"}}, "settings that are not known here: future"),
    ],
)
def test_settings_that_are_not_known_here_are_named(change, message, sent, capfd):
    edit(sent, spec={**fields(sent)["spec"], **change})
    assert evaluate(sent) == 2
    assert message in capfd.readouterr().err
