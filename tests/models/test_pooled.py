from __future__ import annotations

import pytest
import torch
from torch import nn

from dmix.backbones.pooled import pooled
from dmix.errors import DmixError
from small_backbones import SMALL, N, images_for, small_backbone

NAMES = [name for name in SMALL if name != "swin"]


class Both(nn.Module):
    """What a task that takes a backbone apart registers."""

    def __init__(self, model):
        super().__init__()
        self.encoder, self.head = pooled(model)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_the_pieces_compute_what_the_whole_does(name, training):
    model, images = small_backbone(name).train(training), images_for(name)
    expected = model(images)
    encoder, head = pooled(small_backbone(name).train(training))
    features = encoder(images)
    assert features.shape == (N, head.in_features)
    assert torch.equal(head(features), expected)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_copied_and_every_parameter_is_registered_once_under_its_name(name):
    model = small_backbone(name)
    whole = model.state_dict()
    task = Both(model)
    assert model.state_dict().keys() == whole.keys()
    classifier = [f"{list(model.head.named_children())[-1][0]}.{kind}" for kind in ("weight", "bias")]
    names = {key: f"encoder.{key}" for key in whole}
    names |= {f"head.{key}": f"head.{key.partition('.')[2]}" for key in classifier}
    found = task.state_dict()
    assert found.keys() == set(names.values())
    assert all(found[names[key]].data_ptr() == tensor.data_ptr() for key, tensor in whole.items())
    parameters = list(task.named_parameters(remove_duplicate=False))
    assert len(parameters) == len(list(model.parameters()))
    assert {id(p) for _, p in parameters} == {id(p) for p in model.parameters()}
    assert not any(isinstance(module, nn.Linear) for module in task.encoder.head.modules())


@pytest.mark.parametrize("name", ["resnet", "wideresnet"])
def test_statistics_and_modes_are_those_of_the_whole(name):
    model = small_backbone(name)
    task = Both(model)
    task.encoder(images_for(name))
    counters = [int(value) for key, value in model.state_dict().items() if key.endswith("batches_tracked")]
    assert set(counters) == {1}
    task.eval()
    assert not any(module.training for module in (*model.stages.modules(), *model.stem.modules()))


def test_a_head_that_is_no_sequence_with_a_linear_layer_at_its_end_is_refused():
    headless = small_backbone("resnet")
    headless.head = nn.Sequential()
    pooling = small_backbone("resnet")
    pooling.head = nn.Sequential(nn.Linear(16, 4), nn.ReLU())
    bare = small_backbone("resnet")
    bare.head = nn.Linear(16, 4)
    for model in (small_backbone("swin"), headless, pooling, bare):
        with pytest.raises(DmixError) as caught:
            pooled(model)
        assert caught.value.message.startswith(f"{type(model).__name__} has no features (N, d): its head")
        assert "params.yaml" in caught.value.way_out
