"""Writes the network of a finished run for others: a file of tensors, and a JSON that says what it is."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from dmix.backbones.backbone import Backbone
from dmix.data.sets.class_names import class_names
from dmix.errors import DmixError
from dmix.files import atomic_write, write_text
from dmix.grid.paths import DATA, RESULTS
from dmix.grid.rebuilt import rebuilt
from dmix.grid.spec import RunSpec
from dmix.job.evaluate import data_of
from dmix.job.run_files import RunFiles, record_of, weights_of
from dmix.job.say import say
from dmix.record import Record
from dmix.weights.forms import FORMS, Form
from dmix.weights.network import evaluated_network

ENDING = ".safetensors"
IMAGES, SIDE = 2, 64
CLOSE = 1e-9
"""Largest difference of logits in double precision, relative to the largest of them."""


def default_out(tier: str, name: str, to: str) -> Path:
    """Return where an export goes by default."""
    return RESULTS / tier / "networks" / f"{name.replace('/', '-')}-{to}{ENDING}"


def export(files: RunFiles, to: str, out: Path | None, tier: str) -> int:
    """Write the network of a run in the form `to`, one of `FORMS`, and its description; return 0.

    Before that, the network that the form is for is built and filled, and its logits are compared.

    Raises
    ------
    DmixError: a file of the run is missing or damaged, there is no such form of its network, or the files
        cannot be written.
    """
    record = record_of(files)
    target = out or default_out(tier, record.name, to)
    if target.suffix != ENDING:
        raise DmixError(f"--out {target} does not end in {ENDING}", f"write {target.with_suffix(ENDING)}")
    spec, weights = rebuilt(record.name, record.spec), weights_of(files, record)
    model = evaluated_network(spec, record.primary, safetensors.torch.load(weights))
    form = FORMS[to](spec, model)
    _refuse_another(spec, model, form)
    tensors = {name: tensor.contiguous() for name, tensor in form.tensors.items()}
    blob = safetensors.torch.save(tensors, metadata={"format": "pt"})
    about = {
        "file": target.name,
        "sha256": hashlib.sha256(blob).hexdigest(),
        "form": to,
        "network": form.network,
        "load": [
            *form.lines,
            "import safetensors.torch",
            f"network.load_state_dict(safetensors.torch.load_file({target.name!r}))",
            "network.eval()",
        ],
        **_about(spec, record),
    }
    with atomic_write(target) as stream:
        stream.write(blob)
    write_text(target.with_suffix(".json"), json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    say(
        f"{target}: {form.network}, {len(tensors)} tensors; {target.with_suffix('.json')} says how to load it"
    )
    return 0


def input_side(spec: RunSpec) -> int | None:
    """Return the side in pixels of the images that are evaluated, or None if they are of any size."""
    sections = (("view", "size"), ("dataset", "image_size"), ("backbone", "image_size"))
    found = (spec.settings[section].get(key) for section, key in sections)
    return next((int(side) for side in found if side), None)


def _about(spec: RunSpec, record: Record) -> dict[str, Any]:
    """Return what is to be known of the network, whatever the form."""
    recipe = spec.settings["recipe"]
    return {
        "run": record.name,
        "dataset": spec.axes["dataset"],
        "data_edition": record.data_edition,
        "classes": spec.settings["dataset"]["classes"],
        "class_names": _names(spec, record),
        "input": {
            "pixels": "RGB in 0..1, then (pixel - mean) / std for each channel",
            "mean": recipe["mean"],
            "std": recipe["std"],
            "side": input_side(spec),
            "view": spec.settings["view"],
        },
        "prediction": record.primary,
        "top1_percent": record.scores[record.primary].last,
        "weights_sha256": record.weights_sha256,
        "record_sha256": record.record_sha256,
        "git_commit": record.git_commit,
        "versions": dict(record.versions),
    }


def _names(spec: RunSpec, record: Record) -> list[str] | None:
    """Return the names of the classes in the order of the logits; None, and say so, without the data."""
    try:
        return list(class_names(data_of(spec, record), spec.settings["dataset"], DATA))
    except DmixError as error:
        say(f"{record.name}: without class names: {error.message}")
        return None


@torch.no_grad()
def _refuse_another(spec: RunSpec, model: Backbone, form: Form) -> None:
    """Build the network of a form, fill it, and compare its logits with those of the run's network.

    In double precision, because in single precision two ways to write a convolution may round differently.

    Raises
    ------
    DmixError: tensors or logits are not the same: the form is of another network.
    """
    network = form.build()
    network.load_state_dict({name: tensor.clone() for name, tensor in form.tensors.items()})
    side = input_side(spec) or SIDE
    images = torch.randn(IMAGES, 3, side, side, generator=torch.Generator().manual_seed(0)).double()
    expected = model.double()(images)
    found = network.eval().double()(images)
    model.float()
    if float((found - expected).abs().max()) > CLOSE * float(expected.abs().max()):
        raise DmixError(
            f"{form.network} computes other logits than the network of {spec.name}",
            "give --to state_dict, and report this",
            exit_code=1,
        )
