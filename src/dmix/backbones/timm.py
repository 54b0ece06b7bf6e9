"""Networks of timm, by timm's names.

The network runs its own forward pass. Hooks on the modules in timm's `feature_info` read each stage's output
and replace it by the mixed one; only the classifier, the last linear layer, is removed, to be the head.
Splitting networks into stem, stages and head instead would mean to rewrite the forward pass of each of timm's
eighty families, and to break when timm changes one.

Hooks work only if the rest of the network sees nothing but the hooked module's output. A forward pass checks
this when the network is built: its batch has an image of NaN for every stage but the last, whose state is
replaced by that of a proper image where the stage ends, and no NaN may come out.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from dmix.backbones.backbone import Backbone
from dmix.backbones.timm_network import build, ends_of_stages, feature_info, refusal
from dmix.errors import DmixError
from dmix.part import part


@part
class Timm(Backbone):
    """Any network of timm whose stages can be separated, with timm's random initialisation.

    A stage ends at each feature in timm's `feature_info`, from a quarter of the resolution on. The last stage
    holds all that follows the previous one, up to pooled features (N, d), so the head is only the classifier.
    The others return what timm's modules do: maps (N, c, h, w) or (N, h, w, c), or tokens (N, L, c) with the
    class token, which hidden mixing mixes too.

    In a state dict `net.X` is timm's tensor X, and `head.0.weight` and `head.0.bias` are its classifier.

    Settings: `name`, as in timm.list_models(); `layers`, number of timm's features in each stage, empty for
    one each (a DeiT has twelve stages of one block, or three with 3, 3, 6); `image_size` in pixels, 0 for
    timm's own (networks with position embeddings or fixed windows are built for it and take no other, the
    rest are only checked with it); `drop_path`, rate of stochastic depth in the last block; `drop_rate`, rate
    of dropout before the classifier.

    Raises
    ------
    DmixError: timm has no such network or cannot build it with these settings, `layers` do not add up to the
        number of its features, or its stages cannot be separated.
    """

    def __init__(
        self,
        classes: int,
        *,
        name: str,
        layers: tuple[Annotated[int, Gt(0)], ...] = (),
        image_size: Annotated[int, Ge(0)] = 0,
        drop_path: Annotated[float, Ge(0), Lt(1)] = 0.0,
        drop_rate: Annotated[float, Ge(0), Lt(1)] = 0.0,
    ) -> None:
        super().__init__()
        self.name = name
        net, size, self.fixed_size = build(name, classes, image_size, drop_path, drop_rate)
        classifier = net.get_classifier()
        if not isinstance(classifier, nn.Linear):
            raise refusal(name, f"its classifier is a {type(classifier).__name__}, not one linear layer")
        self.classifier_name = next(key for key, module in net.named_modules() if module is classifier)
        features = feature_info(net, name)
        patch = features[0]["reduction"]
        if self.fixed_size and any(side % patch for side in size):  # timm would ignore pixels at the border
            raise DmixError(
                f"backbone.image_size: patches of {patch} px do not tile images of {size} px",
                f"set it to a multiple of {patch}",
            )
        *inner, _ = (features[end] for end in ends_of_stages(features, layers, name))
        self.ends = tuple(feature["module"] for feature in inner)
        self.channels = (*(feature["num_chs"] for feature in inner), classifier.in_features)
        self.channels_last = getattr(net, "output_fmt", "NCHW") == "NHWC"
        self.net, self.head = net, nn.Sequential(classifier)
        net.set_submodule(self.classifier_name, nn.Identity())
        self.grids: dict[int, tuple[int, int]] = {}
        for state, feature in zip(self._check(size), inner, strict=True):
            if state.dim() == 3:  # tokens: their number depends on the size of the images
                height, width = (side // feature["reduction"] for side in size)
                self.grids[state.shape[1]] = (height, width)
                self.fixed_size = size

    def walk(self, images: Tensor, reached: Callable[[Tensor], Tensor]) -> None:
        """Run timm's forward pass; replace the images and each stage's output by what `reached` returns.

        Raises
        ------
        DmixError: the images do not have the size that the network is built for.
        """
        size = tuple(images.shape[-2:])
        if self.fixed_size not in (None, size):
            raise DmixError(
                f"timm's {self.name} is built for images of {self.fixed_size} px, and gets some of {size} px",
                "set backbone.image_size to the side of the images",
            )

        with ExitStack() as hooks:
            for end in self.ends:
                module = self.net.get_submodule(end)
                hooks.enter_context(module.register_forward_hook(lambda *call: reached(call[-1])))
            pooled = self.net(reached(images))
        reached(pooled)

    def as_map(self, feature: Tensor) -> Tensor:
        """Return a stage's output as a map (N, c, h, w): patch tokens as a grid, pooled features as 1x1."""
        if feature.dim() == 2:
            return feature[:, :, None, None]
        if feature.dim() == 3:
            height, width = self.grids[feature.shape[1]]
            patches = feature[:, -height * width :].transpose(1, 2)
            return patches.reshape(*patches.shape[:2], height, width)
        return feature.permute(0, 3, 1, 2) if self.channels_last else feature

    def published_name(self, name: str) -> str:
        """Return timm's name of a tensor."""
        owner, _, rest = name.partition(".")
        return rest if owner == "net" else f"{self.classifier_name}.{rest.rpartition('.')[2]}"

    @torch.no_grad()
    def _check(self, size: tuple[int, int]) -> list[Tensor]:
        """Return the outputs of all stages but the last for images of `size`; see the module's docstring.

        Raises
        ------
        DmixError: later stages see more than a stage's output, or its shape is not the one that timm states.
        """
        stages = len(self.channels)
        images = torch.full((stages, 3, *size), torch.nan)
        images[-1] = torch.linspace(0, 1, images[-1].numel()).view(3, *size)
        states: list[Tensor] = []
        classified: list[Tensor] = []

        def reached(state: Any) -> Tensor:
            number = len(states)
            if not isinstance(state, Tensor) or len(state) != stages:
                raise refusal(self.name, f"{self.ends[number - 1]} does not return one tensor")
            if 0 < number < stages:
                state = state.clone()
                state[number - 1] = state[-1]
            states.append(state)
            return states[-1]

        placeholder = self.net.get_submodule(self.classifier_name)
        with placeholder.register_forward_hook(lambda *call: classified.append(call[-1])):
            self.eval()
            try:
                self.walk(images, reached)
            except (RuntimeError, AssertionError, ValueError, IndexError) as error:
                raise DmixError(
                    f"timm's {self.name} fails on images of {size} px, its classifier apart: {error}",
                    "set backbone.image_size to a larger size, or choose another network",
                ) from error
            self.train()
        if len(states) != stages + 1:
            raise refusal(self.name, f"not all of {', '.join(self.ends)} take part in its forward pass once")
        if len(classified) != 1 or classified[0] is not states[-1]:
            raise refusal(self.name, f"its classifier {self.classifier_name} is not the end of it")
        *inner, pooled = states[1:]
        for end, channels, state in zip(self.ends, self.channels, inner, strict=False):
            place = -1 if state.dim() == 3 or self.channels_last else 1
            if state.dim() not in (3, 4) or state.shape[place] != channels:
                raise refusal(self.name, f"{end} returns {tuple(state.shape)}, not {channels} channels")
        if pooled.shape != (stages, self.channels[-1]):
            raise refusal(self.name, f"its classifier sees {tuple(pooled.shape)}, not pooled features")
        for end, row in zip(self.ends, pooled, strict=False):
            if not row.isfinite().all():
                raise refusal(self.name, f"later stages see more than what {end} returns")
        return inner
