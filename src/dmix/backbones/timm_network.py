"""Build a network with timm, and find the ends of its stages in timm's feature information."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from torch import nn

from dmix import vision
from dmix.errors import DmixError

STEM_REDUCTION = 2
"""Features of at most this reduction belong to the stem, such as a ResNet's first convolution."""


def build(
    name: str, classes: int, image_size: int, drop_path: float, drop_rate: float
) -> tuple[Any, tuple[int, int], tuple[int, int] | None]:
    """Return the network, its image size (height, width), and that size again if it is fixed, else None.

    Settings of 0 are timm's defaults; for the others see `dmix.backbones.timm.Timm`.

    Raises
    ------
    DmixError: timm has no network of this name, or cannot build it with these settings.
    """
    timm = vision.timm()
    known = timm.list_models()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3) or ["convnext_tiny"]
        raise DmixError(
            f"backbone.name: timm {timm.__version__} has no network {name!r}",
            f"write a name of timm.list_models(), without a tag of weights, such as {', '.join(close)}",
        )
    config = timm.get_pretrained_cfg(name)
    fixed = bool(config.fixed_input_size)
    size = (image_size, image_size) if image_size else tuple(config.input_size[1:])
    given = {"drop_path_rate": drop_path, "drop_rate": drop_rate, "img_size": image_size if fixed else 0}
    given = {key: value for key, value in given.items() if value}
    try:
        net = timm.create_model(name, pretrained=False, num_classes=classes, **given)
    except (TypeError, AssertionError, ValueError, RuntimeError) as error:
        raise DmixError(
            f"timm cannot build {name} with {given}: {error}",
            "change or leave out image_size, drop_path or drop_rate of the backbone in params.yaml",
        ) from error
    return net, size, size if fixed else None


def feature_info(net: nn.Module, name: str) -> Sequence[Mapping[str, Any]]:
    """Return timm's information on the network's features, in order: module, num_chs, reduction.

    Raises
    ------
    DmixError: there are no features, or their modules are not in the network.
    """
    found = getattr(net, "feature_info", None) or []
    features = list(getattr(found, "info", found))
    modules = dict(net.named_modules())
    missing = [str(feature.get("module")) for feature in features if feature.get("module") not in modules]
    if missing or not features:
        raise refusal(
            name, f"it has no modules {', '.join(missing)}" if missing else "timm names no features"
        )
    return features


def ends_of_stages(features: Sequence[Mapping[str, Any]], layers: Sequence[int], name: str) -> Sequence[int]:
    """Return the indices of the features that end a stage, ascending; the last one is the last feature.

    Parameters
    ----------
    layers: number of features in each stage; () is one each, where the stem's belong to the first stage.

    Raises
    ------
    DmixError: `layers` do not add up to the number of features.
    """
    last = len(features) - 1
    if not layers:
        return [at for at in range(last) if features[at]["reduction"] > STEM_REDUCTION] + [last]
    if sum(layers) != len(features):
        modules = ", ".join(feature["module"] for feature in features)
        raise DmixError(
            f"backbone.layers: {sum(layers)} features in all, but timm's {name} has {last + 1}: {modules}",
            f"give it numbers whose sum is {last + 1}, or leave it out",
        )
    return [end - 1 for end in accumulate(layers)]


def refusal(name: str, reason: str) -> DmixError:
    """Return the error for a network that cannot be a backbone."""
    return DmixError(
        f"backbone.name: timm's {name} cannot be a backbone: {reason}", "choose another network of timm"
    )
