from __future__ import annotations

import hashlib
import io
import math

import pytest
import safetensors.torch
import torch
from torch import nn

from dmix import vision
from dmix.backbones.pooled import pooled
from dmix.backbones.pretrained import fresh_classifier, load_published, load_run, source_classifier
from dmix.backbones.resnet import ResNet
from dmix.errors import DmixError
from small_backbones import SMALL, images_for, small_backbone

BASIC = {"stem": "imagenet", "block": "basic", "width": 64}
BOTTLENECK = {"stem": "imagenet", "block": "bottleneck", "layers": (3, 4, 6, 3), "width": 64}
NETWORKS = {
    "resnet18": {**BASIC, "layers": (2, 2, 2, 2)},
    "resnet34": {**BASIC, "layers": (3, 4, 6, 3)},
    "resnet50": {**BOTTLENECK, "groups": 1, "group_width": 64},
    "resnext50_32x4d": {**BOTTLENECK, "groups": 32, "group_width": 4},
}
CLASSES = 6
OTHER = "choose weights of the run's backbone in params.yaml"


def shaken(model):
    """Move every tensor away from the values (0, 1) at which a wrong place would not show."""
    generator = torch.Generator().manual_seed(0)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.mul_(torch.rand(tensor.shape, generator=generator).add_(0.5)).add_(0.01)
        else:
            tensor.fill_(17)
    return model.eval()


def published(state, folder, name="resnet"):
    """Write a state dict under a name with the start of its sha256, as torchvision's are."""
    stream = io.BytesIO()
    torch.save(state, stream)
    path = folder / f"{name}-{hashlib.sha256(stream.getvalue()).hexdigest()[:8]}.pth"
    path.write_bytes(stream.getvalue())
    return path


def copies(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def short():
    """The state dict of torchvision's ResNet with one block in each stage, and ours to fill."""
    resnet = vision.torchvision().models.resnet
    state = shaken(resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=9)).state_dict()
    return state, ResNet(CLASSES, **BASIC, layers=(1, 1, 1, 1)).eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_filled_from_torchvision_computes_what_theirs_does(name, tmp_path):
    reference = shaken(vision.torchvision().models.get_model(name, num_classes=CLASSES))
    model = ResNet(CLASSES, **NETWORKS[name]).eval()
    head = copies(model.head)
    load_published(model, published(reference.state_dict(), tmp_path, name))
    assert same(model.head.state_dict(), head)
    # In double precision, because the two forms of a strided 1x1 convolution round differently.
    images = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(1)).double()
    reference.double()
    model.double()
    with torch.no_grad():
        hidden = reference.maxpool(reference.relu(reference.bn1(reference.conv1(images))))
        for stage, found in enumerate(model.features(images), start=1):
            hidden = reference.get_submodule(f"layer{stage}")(hidden)
            assert hidden.isfinite().all()
            assert torch.allclose(found, hidden, rtol=1e-10)
        model.head[-1].load_state_dict(reference.fc.state_dict())
        assert torch.allclose(model(images), reference(images), rtol=1e-10)
    counters = [tensor for name, tensor in model.state_dict().items() if name.endswith("tracked")]
    assert {int(tensor) for tensor in counters} == {17}


def test_names_decide_and_not_their_order(short, tmp_path):
    state, model = short
    load_published(model, published(state, tmp_path))
    expected = copies(model)
    for name, tensor in model.state_dict().items():
        if not name.startswith("head."):
            tensor.zero_()
    load_published(model, published(dict(reversed(state.items())), tmp_path))
    assert same(model.state_dict(), expected)


def test_a_file_without_counters_starts_them_at_zero(short, tmp_path):
    state, model = short
    load_published(model, published(state, tmp_path))
    expected = copies(model)
    old = {name: tensor for name, tensor in state.items() if not name.endswith("tracked")}
    load_published(model, published(old, tmp_path))
    counters = {name: torch.tensor(0) for name in expected if name.endswith("tracked")}
    assert len(counters) == 12
    assert same(model.state_dict(), expected | counters)


def refused(load, model, *arguments):
    """Return the error of a load that left the model as it was."""
    before = copies(model)
    with pytest.raises(DmixError) as caught:
        load(model, *arguments)
    assert same(model.state_dict(), before)
    return caught.value


def without(name):
    return lambda state: {key: tensor for key, tensor in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("layer2.0.downsample.1.running_var"), "it has no layer2.0.downsample.1.running_var"),
        (lambda s: s | {"bn1.gain": torch.ones(64)}, "its bn1.gain has no place there"),
        (
            lambda s: s | {"layer1.0.conv2.weight": torch.ones(64, 32, 3, 3)},
            "its layer1.0.conv2.weight is (64, 32, 3, 3), not (64, 64, 3, 3)",
        ),
    ],
    ids=["missing", "extra", "shape"],
)
def test_a_file_with_other_tensors_is_refused(change, message, short, tmp_path):
    state, model = short
    path = published(change(state), tmp_path)
    error = refused(load_published, model, path)
    assert error.message == f"the weights {path} are of another network: {message}"
    assert error.way_out == OTHER


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 32}, "its conv1.weight is (64, 3, 7, 7), not (32, 3, 7, 7)"),
        ({"stem": "cifar"}, "its conv1.weight is (64, 3, 7, 7), not (64, 3, 3, 3)"),
        ({"layers": (2, 1, 1, 1)}, "it has no layer1.1.conv1.weight"),
        ({"layers": (1, 1, 1)}, "its layer4.0.conv1.weight has no place there"),
    ],
    ids=["width", "stem", "deeper", "fewer stages"],
)
def test_a_network_of_another_shape_is_refused(change, message, short, tmp_path):
    model = ResNet(CLASSES, **{**BASIC, "layers": (1, 1, 1, 1), **change})
    error = refused(load_published, model, published(short[0], tmp_path))
    assert error.message.endswith(message)


@pytest.mark.parametrize("name", ["wideresnet", "vit", "swin"])
def test_a_backbone_of_another_family_is_refused(name, short, tmp_path):
    error = refused(load_published, small_backbone(name), published(short[0], tmp_path))
    assert "are of another network: it has no s" in error.message


def test_a_missing_file_says_where_to_look(short, tmp_path):
    path = tmp_path / "resnet18-f37072fd.pth"
    error = refused(load_published, short[1], path)
    assert error.message == f"cannot read the weights {path}: No such file or directory"
    assert error.way_out == "dmix doctor says how to get it"


@pytest.mark.parametrize("kept", [0, 5, 0.5, -1])
def test_a_file_that_ends_early_is_refused(kept, short, tmp_path):
    path = published(short[0], tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    error = refused(load_published, short[1], path)
    assert error.message == f"{path} is damaged: its sha256 does not begin with {path.stem[-8:]}"
    assert error.way_out == "delete it; dmix doctor says how to get it"


def test_a_file_with_one_other_byte_is_refused(short, tmp_path):
    path = published(short[0], tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert "is damaged: its sha256" in refused(load_published, short[1], path).message


@pytest.mark.parametrize("name", ["resnet18.pth", "resnet18-f37072.pth", "resnet18-f37072fd"])
def test_a_name_without_checksum_is_refused(name, short, tmp_path):
    path = published(short[0], tmp_path).rename(tmp_path / name)
    error = refused(load_published, short[1], path)
    assert error.message == f"{path} cannot be checked: its name does not end with the start of its sha256"


@pytest.mark.parametrize(
    "data",
    [b"", b"no weights at all", b"PK\x03\x04 nor these", {"epoch": 3}, [torch.ones(2)], {"model": {}}],
    ids=["empty", "text", "zip", "number", "list", "nested"],
)
def test_a_file_that_is_no_state_dict_is_refused(data, short, tmp_path):
    """What it is instead is named in test_weights_file.py."""
    if isinstance(data, bytes):
        path = tmp_path / f"resnet18-{hashlib.sha256(data).hexdigest()}.pth"
        path.write_bytes(data)
    else:
        path = published(data, tmp_path)
    error = refused(load_published, short[1], path)
    assert error.message.startswith(f"{path} is no state dict, though its checksum is right: it ")


def finished(name, folder, change=lambda state: state):
    """Write what a run leaves of its network and its policy, and return the file and the network."""
    model = shaken(small_backbone(name))
    state = {f"model.{key}": tensor for key, tensor in model.state_dict().items()}
    blob = safetensors.torch.save(change(state | {"policy.mixer.weight": torch.ones(3)}))
    path = folder / "weights.safetensors"
    path.write_bytes(blob)
    return path, model


def other_classes(name):
    kind, settings, _ = SMALL[name]
    return kind(CLASSES, **settings).eval()


@pytest.mark.parametrize("name", SMALL)
def test_a_network_filled_from_a_run_has_its_features_and_its_own_head(name, tmp_path):
    path, trained = finished(name, tmp_path)
    model = other_classes(name)
    head = copies(model.head)
    load_run(model, path)
    assert same(model.head.state_dict(), head)
    body = {key: tensor for key, tensor in trained.state_dict().items() if not key.startswith("head.")}
    assert same({key: model.state_dict()[key] for key in body}, body)
    images = images_for(name)
    with torch.no_grad():
        pairs = zip(model.features(images), trained.features(images), strict=True)
        assert all(torch.equal(own, theirs) for own, theirs in pairs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("model.stages.1.0.shortcut.0.weight"), "it has no model.stages.1.0.shortcut.0.weight"),
        (lambda s: s | {"model.neck": torch.ones(1)}, "its model.neck has no place there"),
        (
            lambda s: s | {"model.stem.1.bias": torch.ones(5)},
            "its model.stem.1.bias is (5,), not (4,)",
        ),
        (
            without("model.stem.1.num_batches_tracked"),
            "it has no model.stem.1.num_batches_tracked",
        ),
    ],
    ids=["missing", "extra", "shape", "counter"],
)
def test_weights_of_a_run_with_other_tensors_are_refused(change, message, tmp_path):
    path, _ = finished("resnet", tmp_path, change)
    error = refused(load_run, other_classes("resnet"), path)
    assert error.message == f"the weights {path} are of another network: {message}"
    assert error.way_out == OTHER


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_weights_of_a_run_that_end_early_are_refused(kept, tmp_path):
    path, _ = finished("resnet", tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    error = refused(load_run, other_classes("resnet"), path)
    assert error.message == f"{path} is damaged, or no file of weights"


def test_missing_weights_of_a_run_say_what_to_do(tmp_path):
    error = refused(load_run, other_classes("resnet"), tmp_path / "weights.safetensors")
    assert error.message.endswith("weights.safetensors: No such file or directory")
    assert error.way_out.startswith("get the run's weights (dvc pull)")


@pytest.mark.parametrize("name", SMALL)
def test_a_fresh_classifier_is_drawn_anew_and_nothing_else(name):
    model = small_backbone(name)
    before = copies(model)
    torch.manual_seed(3)
    fresh_classifier(model)
    changed = [key for key, tensor in model.state_dict().items() if not torch.equal(tensor, before[key])]
    weight, bias = list(before)[-2:]
    assert changed == ([weight, bias] if before[bias].any() else [weight])
    torch.manual_seed(3)
    expected = torch.empty_like(before[weight]).normal_(0, 0.01)
    assert torch.equal(model.state_dict()[weight], expected)
    assert not model.state_dict()[bias].any()


def test_a_fresh_classifier_has_the_moments_it_should():
    model = ResNet(200, **BASIC, layers=(1, 1, 1, 1))
    torch.manual_seed(0)
    fresh_classifier(model)
    weight = model.head[-1].weight.detach()
    error = 0.01 / math.sqrt(weight.numel())
    assert weight.mean().item() == pytest.approx(0, abs=4 * error)
    assert weight.std().item() == pytest.approx(0.01, abs=4 * error / math.sqrt(2))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_body_with_the_source_classifier_is_the_published_network(name, tmp_path):
    reference = shaken(vision.torchvision().models.get_model(name, num_classes=CLASSES + 2))
    path = published(reference.state_dict(), tmp_path, name)
    model = ResNet(CLASSES, **NETWORKS[name]).eval()
    load_published(model, path)
    encoder, _ = pooled(model)
    before = torch.get_rng_state()
    classifier = source_classifier(model, path, from_run=False)
    assert torch.equal(torch.get_rng_state(), before)
    assert same(classifier.state_dict(), reference.fc.state_dict())
    assert all(parameter.requires_grad for parameter in classifier.parameters())
    images = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        found = classifier.double()(encoder.double()(images))
        assert torch.allclose(found, reference.double()(images), rtol=1e-10)


@pytest.mark.parametrize("name", SMALL)
def test_the_source_classifier_of_a_run_is_the_last_layer_of_its_network(name, tmp_path):
    path, trained = finished(name, tmp_path)
    *_, last = (module for module in trained.head.modules() if isinstance(module, nn.Linear))
    before = torch.get_rng_state()
    classifier = source_classifier(trained, path, from_run=True)
    assert torch.equal(torch.get_rng_state(), before)
    assert same(classifier.state_dict(), last.state_dict())
    assert all(parameter.requires_grad for parameter in classifier.parameters())


def layers(*places):
    """The tensors of linear layers of 3 inputs, each full of its place in the head."""
    shapes = {"weight": (2, 3), "bias": (2,)}
    return {
        f"model.head.{place}.{kind}": torch.full(shape, float(place))
        for place in places
        for kind, shape in shapes.items()
    }


def test_the_last_linear_layer_is_the_classifier_and_is_kept_in_float32(tmp_path):
    path = tmp_path / "weights.safetensors"
    model = small_backbone("resnet")
    between = (nn.Identity() for _ in range(7))
    linear = (nn.Linear(3, 2), *between, nn.Linear(3, 2))
    model.head = nn.Sequential(nn.Identity(), nn.Identity(), *linear, nn.LayerNorm(2))
    norm = {"model.head.11.weight": torch.ones(3), "model.head.11.bias": torch.ones(3)}
    tensors = {name: tensor.half() for name, tensor in (layers(2, 10) | norm).items()}
    path.write_bytes(safetensors.torch.save(tensors))
    classifier = source_classifier(model, path, from_run=True)
    assert classifier.weight.unique().tolist() == [10.0]
    assert classifier.bias.tolist() == [10.0, 10.0]
    assert {parameter.dtype for parameter in classifier.parameters()} == {torch.float32}
    assert (classifier.in_features, classifier.out_features) == (3, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("fc.weight"), "there is no fc.weight"),
        (without("fc.bias"), "there is no fc.bias"),
        (lambda s: s | {"fc.bias": torch.ones(8)}, "fc.weight is (9, 512), fc.bias is (8,)"),
        (lambda s: s | {"fc.weight": torch.ones(9)}, "fc.weight is (9,), fc.bias is (9,)"),
    ],
    ids=["weight", "bias", "other bias", "vector"],
)
def test_a_published_file_without_a_classifier_is_refused(change, message, short, tmp_path):
    path = published(change(short[0]), tmp_path)
    with pytest.raises(DmixError) as caught:
        source_classifier(short[1], path, from_run=False)
    assert caught.value.message == f"the weights {path} have no classifier: {message}"
    assert caught.value.way_out == OTHER


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"policy.mixer.weight": torch.ones(3, 3)}, "there is no model.head.2.weight"),
        (without("model.head.2.bias")(layers(1, 2)), "there is no model.head.2.bias"),
        (
            layers(2) | {"model.head.2.bias": torch.ones(3)},
            "model.head.2.weight is (2, 3), model.head.2.bias is (3,)",
        ),
    ],
    ids=["headless", "bias", "other bias"],
)
def test_weights_of_a_run_without_a_classifier_are_refused(tensors, message, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors.torch.save(tensors))
    with pytest.raises(DmixError) as caught:
        source_classifier(small_backbone("resnet"), path, from_run=True)
    assert caught.value.message == f"the weights {path} have no classifier: {message}"


def test_a_source_classifier_is_read_with_the_same_care_as_a_body(short, tmp_path):
    state, model = short
    path = published(state, tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    unnamed = published(state, tmp_path, "other").rename(tmp_path / "resnet.pth")
    run = finished("resnet", tmp_path)[0]
    run.write_bytes(run.read_bytes()[:-1])
    for from_run, load, file in (
        (False, load_published, path),
        (False, load_published, unnamed),
        (False, load_published, tmp_path / "nowhere-12345678.pth"),
        (True, load_run, run),
        (True, load_run, tmp_path / "nowhere.safetensors"),
    ):
        with pytest.raises(DmixError) as caught:
            source_classifier(model, file, from_run=from_run)
        assert str(caught.value) == str(refused(load, model, file))
