"""Networks of timm compute what timm's own do, and those whose stages cannot be told apart are refused."""

from __future__ import annotations

import hashlib
import io

import pytest
import safetensors.torch
import torch
from torch import nn

from dmix import vision
from dmix.backbones import timm as part
from dmix.backbones.frozen_statistics import frozen_statistics
from dmix.backbones.pooled import pooled
from dmix.backbones.pretrained import load_published, source_classifier
from dmix.backbones.timm import Timm
from dmix.errors import DmixError
from reference_weights import shake

CLASSES = 7
SIDE = 32
FAMILIES = (
    *("test_byobnet", "test_coatnet", "test_convnext", "test_efficientnet", "test_efficientnet_evos"),
    *("test_mambaout", "test_maxvit", "test_nfnet", "test_resnet", "test_vit", "test_vit4"),
    *("test_vit_relpos", "convit_tiny", "cspnext_s", "deit_tiny_patch16_224", "edgenext_xx_small"),
    *("efficientvit_b0", "ese_vovnet19b_slim_dw", "fasternet_t0", "ghostnet_050", "hgnetv2_b0"),
    *("inception_next_atto", "lcnet_050", "mixer_s32_224", "mobilenetv3_small_050", "mobilevitv2_050"),
    *("pvt_v2_b0", "regnetx_002", "repghostnet_050", "resnest14d", "starnet_s050"),
    *("swin_tiny_patch4_window7_224", "densenet121", "xcit_nano_12_p16_224"),
)


def timms(name, classes=CLASSES, **settings):
    """Return timm's own network for images of SIDE pixels, drawn from one seed."""
    timm = vision.timm()
    if timm.get_pretrained_cfg(name).fixed_input_size:
        settings["img_size"] = SIDE
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model(name, pretrained=False, num_classes=classes, **settings)


def ours(name, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Timm(CLASSES, name=name, image_size=SIDE, **settings)


@pytest.fixture
def images():
    return torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def seeded(model, images):
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        return model(images)


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_and_names_are_those_of_timm(name, images):
    model, reference = ours(name), timms(name)
    theirs = {model.published_name(key): tensor for key, tensor in model.state_dict().items()}
    assert theirs.keys() == reference.state_dict().keys()
    assert all(torch.equal(theirs[key], tensor) for key, tensor in reference.state_dict().items())
    shake(reference)  # many heads start at 0
    with torch.no_grad():
        for key, tensor in reference.state_dict().items():
            theirs[key].copy_(tensor)
    for training in (True, False):
        logits = seeded(model.train(training), images)
        assert logits.any()
        assert torch.equal(logits, seeded(reference.train(training), images))
    assert len(model.features(images)) == len(model.channels) >= 3


@pytest.mark.parametrize(
    ("name", "indices", "settings"),
    [
        ("test_vit", [1, 4], {"layers": (2, 3, 1)}),
        ("test_convnext", [0, 1, 2], {}),
        ("test_mambaout", [0, 1, 2], {}),
        ("test_efficientnet", [1, 2, 3], {}),
        ("test_efficientnet", [0, 2], {"layers": (1, 2, 2)}),
    ],
)
def test_maps_are_the_features_that_timm_extracts(name, indices, settings, images):
    model, reference = ours(name, **settings).eval(), timms(name).eval()
    with torch.no_grad():
        *maps, last = (model.as_map(feature) for feature in model.features(images))
        expected = reference.forward_intermediates(images, indices=indices, intermediates_only=True)
        pooled_features = reference.forward_head(reference.forward_features(images), pre_logits=True)
    for found, theirs in zip(maps, expected, strict=True):
        assert torch.equal(found, theirs)
    assert torch.equal(last, pooled_features[:, :, None, None])
    assert [m.shape[1] for m in (*maps, last)] == list(model.channels)


def test_dropout_and_stochastic_depth_are_timms(images):
    settings = {"drop_path_rate": 0.3, "drop_rate": 0.5}
    model, reference = ours("test_convnext", drop_path=0.3, drop_rate=0.5), timms("test_convnext", **settings)
    assert torch.equal(seeded(model, images), seeded(reference, images))
    assert not torch.equal(model(images), model(images))
    rates = [module.drop_prob for module in model.modules() if type(module).__name__ == "DropPath"]
    assert max(rates) == pytest.approx(0.3)


def test_nothing_of_a_pass_stays_behind_even_of_one_that_fails(images):
    model = ours("test_efficientnet")

    def fail(state):
        raise ZeroDivisionError

    model(images)
    with pytest.raises(ZeroDivisionError):
        model.walk(images, fail)
    calls = []
    with pytest.raises(ZeroDivisionError):
        model.walk(images, lambda state: fail(state) if calls else calls.append(state) or state)
    assert not any(module._forward_hooks for module in model.modules())


def test_norms_that_activate_can_be_frozen(images):
    model = ours("test_efficientnet")
    seeded(model, images)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with frozen_statistics(model):
        frozen = seeded(model, images)
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
    assert torch.equal(frozen, seeded(model, images))
    assert not all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())


def written(state, folder, ending):
    """Write published weights, with the start of their sha256 in the file's name."""
    stream = io.BytesIO()
    torch.save(state, stream)
    data = safetensors.torch.save(state) if ending == "safetensors" else stream.getvalue()
    path = folder / f"net-{hashlib.sha256(data).hexdigest()[:8]}.{ending}"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
@pytest.mark.parametrize("name", ["test_convnext", "test_vit", "test_efficientnet"])
def test_weights_that_timm_publishes_fill_the_network(name, ending, images, tmp_path):
    reference = timms(name, classes=CLASSES + 2).eval()
    shake(reference)
    path = written(reference.state_dict(), tmp_path, ending)
    model = ours(name).eval()
    head = model.head[0].weight.clone()
    load_published(model, path)
    assert torch.equal(model.head[0].weight, head)
    encoder, _ = pooled(model)
    classifier = source_classifier(model, path, from_run=False)
    with torch.no_grad():
        assert torch.equal(classifier(encoder(images)), reference(images))


def test_weights_of_another_network_are_refused_by_timms_names(tmp_path):
    model = ours("test_convnext")
    state = timms("test_convnext").state_dict()
    short = {name: tensor for name, tensor in state.items() if name != "stages.0.blocks.0.gamma"}
    for change, message in (
        (short, "it has no stages.0.blocks.0.gamma"),
        (state | {"neck.weight": torch.ones(1)}, "its neck.weight has no place there"),
        (state | {"head.norm.bias": torch.ones(5)}, "its head.norm.bias is (5,), not (64,)"),
    ):
        with pytest.raises(DmixError) as caught:
            load_published(model, written(change, tmp_path, "safetensors"))
        assert caught.value.message.endswith(f"are of another network: {message}")
    unnamed = written(state, tmp_path, "safetensors")
    renamed = unnamed.rename(tmp_path / "model.safetensors")
    with pytest.raises(DmixError) as caught:
        load_published(model, renamed)
    assert caught.value.way_out.endswith(f"model-{unnamed.stem[-8:]}.safetensors")


@pytest.mark.parametrize(
    ("name", "settings", "message", "way_out"),
    [
        ("convnext_tinny", {}, "backbone.name: timm {} has no network 'convnext_tinny'", "convnext_tiny"),
        ("test_vit.r160_in1k", {}, "has no network 'test_vit.r160_in1k'", "without a tag of weights"),
        ("hf-hub:timm/x", {}, "has no network", "timm.list_models()"),
        (
            "test_vit",
            {"image_size": 40},
            "patches of 16 px do not tile images of (40, 40) px",
            "multiple of 16",
        ),
        (
            "test_vit",
            {"layers": (3, 2)},
            "backbone.layers: 5 features in all, but timm's test_vit has 6",
            "6",
        ),
        (
            "densenet121",
            {"drop_path": 0.1},
            "cannot build densenet121 with {'drop_path_rate': 0.1}",
            "drop_path",
        ),
        ("deit_tiny_distilled_patch16_224", {}, "its classifier is a tuple, not one linear layer", "another"),
        ("dla46_c", {}, "its classifier is a Conv2d, not one linear layer", "another"),
        ("pit_ti_224", {}, "transformers.0 does not return one tensor", "another"),
        ("mvitv2_tiny", {"image_size": 64}, "it has no modules block.0", "another"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(name, settings, message, way_out):
    with pytest.raises(DmixError) as caught:
        Timm(CLASSES, name=name, **{"image_size": 64, **settings})
    assert message.replace("{} has", f"{vision.timm().__version__} has") in caught.value.message
    assert way_out in caught.value.way_out


def test_images_of_another_size_than_it_is_built_for_are_refused():
    model = ours("test_vit")
    with pytest.raises(DmixError) as caught:
        model(torch.zeros(2, 3, 64, 64))
    assert "is built for images of (32, 32) px, and gets some of (64, 64) px" in caught.value.message
    assert ours("test_convnext")(torch.zeros(2, 3, 64, 48)).shape == (2, CLASSES)


class Made(nn.Module):
    """A network as timm describes its own, whose forward pass the tests choose."""

    def __init__(self, run):
        super().__init__()
        self.feature_info = [
            {"module": name, "num_chs": channels, "reduction": 4}
            for name, channels in (("first", 4), ("second", 5), ("third", 6))
        ]
        self.first, self.second, self.third = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1), nn.Conv2d(5, 6, 1)
        self.skip, self.classifier, self.run = nn.Conv2d(4, 6, 1), nn.Linear(6, CLASSES), run

    def get_classifier(self):
        return self.classifier

    def forward(self, images):
        return self.run(self, images)


def chain(net, images):
    return net.classifier(net.third(net.second(net.first(images))).mean((2, 3)))


def around(net, images):
    """The second stage is passed by, with no weight at all."""
    state = net.first(images)
    return net.classifier((net.third(net.second(state)) + 0 * net.skip(state)).mean((2, 3)))


def twice(net, images):
    return net.classifier(net.third(net.second(net.first(images) + net.first(images))).mean((2, 3)))


def later(net, images):
    return chain(net, images) * 2


def unpooled(net, images):
    return net.classifier(net.third(net.second(net.first(images))).permute(0, 2, 3, 1))


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (chain, None),
        (around, "later stages see more than what second returns"),
        (twice, "not all of first, second take part in its forward pass once"),
        (later, "its classifier classifier is not the end of it"),
        (unpooled, "its classifier sees (3, 8, 8, 6), not pooled features"),
    ],
)
def test_a_stage_must_end_in_all_that_later_ones_see(run, message, monkeypatch):
    monkeypatch.setattr(part, "build", lambda *_: (Made(run), (8, 8), None))
    if message is None:
        assert Timm(CLASSES, name="made").channels == (4, 5, 6)
        return
    with pytest.raises(DmixError) as caught:
        Timm(CLASSES, name="made")
    assert caught.value.message == f"backbone.name: timm's made cannot be a backbone: {message}"


def test_an_error_of_timms_says_which_images_it_was(monkeypatch):
    def too_deep(net, images):
        return nn.functional.conv2d(images, torch.ones(1, 3, 9, 9))

    monkeypatch.setattr(part, "build", lambda *_: (Made(too_deep), (8, 8), None))
    with pytest.raises(DmixError, match=r"made fails on images of \(8, 8\) px") as caught:
        Timm(CLASSES, name="made")
    assert "image_size" in caught.value.way_out


def test_channels_are_those_that_timm_says(monkeypatch):
    net = Made(chain)
    net.feature_info[1]["num_chs"] = 7
    monkeypatch.setattr(part, "build", lambda *_: (net, (8, 8), None))
    with pytest.raises(DmixError, match=r"second returns \(3, 5, 8, 8\), not 7 channels"):
        Timm(CLASSES, name="made")
