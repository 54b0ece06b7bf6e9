"""Weights as people have them: read where that is safe, else named for what they are, and never "damaged"."""

from __future__ import annotations

import argparse
import hashlib
import io

import numpy as np
import pytest
import safetensors.torch
import torch

from dmix.backbones.pretrained import load_published, source_classifier
from dmix.backbones.weights_file import WAY_OUT
from dmix.errors import DmixError
from small_backbones import small_backbone


def saved(found, **options) -> bytes:
    stream = io.BytesIO()
    torch.save(found, stream, **options)
    return stream.getvalue()


def prefixed(state, prefix="module."):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


NUMPY = {"best": np.float64(70.1), "epoch": np.int64(90), "mean": np.array([0.5, 0.25], np.float32)}
FORMS = {
    "plain": saved,
    "before torch 1.6": lambda state: saved(state, _use_new_zipfile_serialization=False),
    "safetensors": safetensors.torch.save,
    "module.": lambda state: saved(prefixed(state)),
    "compiled": lambda state: saved(prefixed(state, "_orig_mod.module.")),
    "safetensors of module.": lambda state: safetensors.torch.save(prefixed(state)),
    "state_dict": lambda state: saved({"epoch": 90, "arch": "resnet18", "state_dict": state}),
    "model": lambda state: saved({"model": state, "optimizer": {"state": {0: {"step": torch.ones(1)}}}}),
    "numpy": lambda state: saved({**NUMPY, "state_dict": prefixed(state)}),
    "numpy 1": lambda state: saved(
        {**NUMPY, "state_dict": state}, _use_new_zipfile_serialization=False
    ).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"),
}


def written(folder, data: bytes, ending: str = "pth"):
    path = folder / f"resnet-{hashlib.sha256(data).hexdigest()[:8]}.{ending}"
    path.write_bytes(data)
    return path


@pytest.fixture
def state():
    """The weights of a small network, in torchvision's names."""
    torch.manual_seed(1)
    model = small_backbone("resnet")
    return {model.published_name(name): tensor for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_state_dict_is_read(form, ending, state, tmp_path):
    path = written(tmp_path, FORMS[form](state), ending)
    torch.manual_seed(2)
    model = small_backbone("resnet")
    load_published(model, path)
    classifier = source_classifier(model, path, from_run=False)
    found = {model.published_name(name): tensor for name, tensor in model.state_dict().items()}
    own = model.published_name("head.2.weight")
    assert any(not name.startswith("fc.") for name in found)
    for name, tensor in found.items():
        assert name.startswith(own.partition(".")[0]) or torch.equal(tensor, state[name]), name
    assert torch.equal(classifier.weight, state[own])


OTHERS = {
    "empty": (b"", "it is not a file that torch.load or safetensors reads"),
    "web page": (b"<html>404</html>", "it is not a file that torch.load or safetensors reads"),
    "cut safetensors": (
        safetensors.torch.save({"a": torch.ones(9)})[:-4], "it is no whole file of safetensors: "),
    "tensor": (saved(torch.ones(2)), "it holds an object of the type Tensor"),
    "list": (saved([torch.ones(2)]), "it holds an object of the type list"),
    "nothing": (saved({}), "it has no entries, of which none is one"),
    "no weights": (saved({"epoch": 3, "model": {}}), "it has 'epoch', 'model', of which none is one"),
    "many": (saved(dict.fromkeys(map(str, range(99)), 1)), "'9', '10', ..., of which none"),
    "two": (
        saved({"model": {"a": torch.ones(1)}, "ema": {"a": torch.ones(1)}}),
        "it holds several: 'model', 'ema'"),
    "arguments": (
        saved({"args": argparse.Namespace(lr=1), "model": {"a": torch.ones(1)}}),
        "it holds Python objects beside tensors, which could run code: argparse.Namespace"),
    "module": (
        saved(torch.nn.Linear(2, 2)),
        "it holds Python objects beside tensors, which could run code: torch.nn."),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_a_file_whose_checksum_is_right_is_named_for_what_it_is(case, tmp_path):
    data, what = OTHERS[case]
    path = written(tmp_path, data)
    with pytest.raises(DmixError) as caught:
        load_published(small_backbone("resnet"), path)
    assert caught.value.message.startswith(f"{path} is no state dict, though its checksum is right: it ")
    assert what in caught.value.message
    assert "damaged" not in caught.value.message
    assert caught.value.way_out == WAY_OUT
    assert "\n" not in caught.value.message


def test_nothing_in_a_file_is_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    path = written(tmp_path, saved({"state_dict": {"a": torch.ones(1)}, "best": Evil()}))
    with pytest.raises(DmixError, match=r"could run code: builtins\.print"):
        load_published(small_backbone("resnet"), path)
