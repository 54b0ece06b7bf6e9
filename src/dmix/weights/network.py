"""The network whose prediction tables report, taken from the weights of a finished run."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor

from dmix.backbones.backbone import Backbone
from dmix.backbones.pooled import pooled
from dmix.engine.parts import load_part
from dmix.errors import DmixError
from dmix.grid.spec import RunSpec
from dmix.job.restored import fill

PLACE: Mapping[str, str] = MappingProxyType({"model": "model.", "k_mix": "policy.momentum_model."})
"""Prediction -> the beginning of the names of its network's tensors in a file of weights.

`k_mix` is AutoMix's and SAMix's momentum copy, which tables report.
"""

CLEAN = "clean"
"""Prediction of transfer and semi-supervised methods, by `encoder` and `head`."""


def evaluated_network(spec: RunSpec, prediction: str, tensors: Mapping[str, Tensor]) -> Backbone:
    """Return the network, in evaluation mode on the CPU, which computes the logits of a prediction.

    Parameters
    ----------
    prediction: the record's `primary`. tensors: of weights.safetensors; with an average of the parameters
        (`recipe.ema`), they are the average.

    Raises
    ------
    DmixError: the prediction is not that of a network alone, or the tensors are not those of the network.
    """
    model: Backbone = load_part("backbone", spec.settings["backbone"], spec.settings["dataset"]["classes"])
    if prediction == CLEAN:
        encoder, head = pooled(model)  # they share the model's modules
        parts = {"encoder.": encoder, "head.": head}
    elif prediction in PLACE:
        parts = {PLACE[prediction]: model}
    else:
        raise DmixError(
            f"{spec.name}: the prediction {prediction!r} that tables report is not that of a network alone",
            "only dmix evaluates it: dmix evaluate",
        )
    for start, module in parts.items():
        own = {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
        fill(module, own, spec.name)
    return model.eval()
