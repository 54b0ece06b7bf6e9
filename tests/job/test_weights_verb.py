"""`dmix weights`: the network of a finished run, as a file that others load by the lines beside it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
import safetensors
import safetensors.torch
import torch

from dmix import cli, vision
from dmix.data.loading.feed import ReadOptions
from dmix.engine.parts import load_dataset
from dmix.grid.paths import DATA
from dmix.grid.rebuilt import rebuilt
from dmix.job.restored import restored
from dmix.record import read_record
from dmix.weights import export as job
from dmix.weights.forms import to_state_dict
from every_task import AUTOMIX, CO_TUNING, CUTMIX, DEIT, FIXMATCH, copied, edit, fields, weights_of

FORMS = {CUTMIX: "state_dict", AUTOMIX: "state_dict", CO_TUNING: "state_dict", FIXMATCH: "state_dict"}
FORMS |= {DEIT: "timm"}
CPU = torch.device("cpu")


@pytest.fixture
def away(tmp_path, embedded_data, monkeypatch):
    """A folder with the data, and neither parameters nor runs."""
    (tmp_path / "data").symlink_to(embedded_data)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", FORMS)
def test_the_network_of_the_reported_prediction_is_exported(name, every_task, away, monkeypatch):
    """Also AutoMix's momentum copy, encoder and head of two streams, and the average of the parameters."""
    out = away / "network.safetensors"
    assert cli.main(["weights", str(every_task[name]), "--to", FORMS[name], "--out", str(out)]) == 0
    about = json.loads(out.with_suffix(".json").read_text())
    vision.timm()  # imports torchvision in the way that works beside a CPU build of torch
    at_hand: dict = {}
    exec("\n".join(about["load"]), at_hand)
    record = read_record(every_task[name] / "record.json")
    spec = rebuilt(name, record.spec)
    dataset = load_dataset(spec, DATA)
    weights = weights_of(every_task[name]).read_bytes()
    trainer = restored(spec, dataset, CPU, ReadOptions(), weights)
    trainer.method.eval()
    images, _ = next(iter(trainer.test))
    (*_, crop) = trainer.test.view.crops(images[:8])
    crop = crop.contiguous()
    with torch.no_grad():
        expected = trainer.method.to(memory_format=torch.contiguous_format).predict(crop)[record.primary]
        assert torch.equal(at_hand["network"](crop), expected)


def test_the_description_says_all_that_a_stranger_needs(every_task, away):
    assert cli.main(["weights", str(every_task[CUTMIX]), "--to", "state_dict"]) == 0
    out = away / "results/embedded/networks" / f"{CUTMIX.replace('/', '-')}-state_dict.safetensors"
    about, record = json.loads(out.with_suffix(".json").read_text()), fields(every_task[CUTMIX])
    assert about["file"] == out.name
    assert about["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert about["class_names"] == [str(digit) for digit in range(10)]
    assert (about["classes"], about["input"]["side"]) == (10, 16)
    assert about["input"]["mean"] == record["spec"]["recipe"]["mean"]
    assert about["input"]["std"] == record["spec"]["recipe"]["std"]
    assert about["top1_percent"] == record["scores"]["model"]["last"]
    same = ("weights_sha256", "record_sha256", "git_commit", "versions")
    assert {key: about[key] for key in same} == {key: record[key] for key in same}
    assert about["run"] == CUTMIX
    with safetensors.safe_open(out, "pt") as opened:
        assert opened.metadata() == {"format": "pt"}
    assert sorted(path.name for path in out.parent.iterdir()) == sorted([out.name, out.stem + ".json"])


def test_without_the_data_there_are_no_class_names(every_task, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "network.safetensors"
    assert cli.main(["weights", str(every_task[CUTMIX]), "--to", "state_dict", "--out", str(out)]) == 0
    about = json.loads(out.with_suffix(".json").read_text())
    assert (about["classes"], about["class_names"]) == (10, None)
    assert "without class names: data set cifar10 (embedded edition) is missing" in capfd.readouterr().out


def refused(*arguments):
    assert cli.main(["weights", *arguments]) != 0


def test_what_cannot_be_exported_is_refused_and_nothing_is_written(every_task, away, capfd):
    sent = copied(every_task[CUTMIX], away / "sent")
    out = away / "network.safetensors"
    refused(str(sent), "--to", "torchvision", "--out", str(out))
    assert "torchvision has no such network" in capfd.readouterr().err
    refused(str(sent), "--to", "state_dict", "--out", str(away / "network.pth"))
    assert "network.pth does not end in .safetensors" in capfd.readouterr().err
    edit(sent, primary="own")
    refused(str(sent), "--to", "state_dict", "--out", str(out))
    assert "the prediction 'own' that tables report is not that of a network alone" in capfd.readouterr().err
    (sent / "weights.safetensors").write_bytes(b"\0")
    refused(str(sent), "--to", "state_dict", "--out", str(out))
    assert "was cut or edited" in capfd.readouterr().err
    assert {path.name for path in away.iterdir()} == {"data", "sent"}


def test_a_form_of_another_network_is_refused(every_task, away, monkeypatch, capfd):
    """As after a change in a library that keeps the names of its tensors."""

    def softened(spec, model):
        form = to_state_dict(spec, model)

        def build():
            network = form.build()
            network.register_forward_hook(lambda module, given, logits: logits.softmax(1))
            return network

        return replace(form, build=build)

    sent, out = every_task[CUTMIX], away / "network.safetensors"
    monkeypatch.setattr(job, "FORMS", {"state_dict": softened})
    refused(str(sent), "--to", "state_dict", "--out", str(out))
    assert "computes other logits than the network of" in capfd.readouterr().err
    assert not out.exists()
