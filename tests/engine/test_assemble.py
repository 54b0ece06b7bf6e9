"""From a specification to a trainer: which rows, which batches, which weights."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from dmix.backbones import pretrained
from dmix.backbones.sync_batchnorm import SyncBatchNorm2d
from dmix.data.loading import feed
from dmix.data.loading.loader import EvaluationSet, ResidentLoader
from dmix.data.loading.stream import StreamEvaluation, StreamLoader
from dmix.engine import assemble as assembling
from dmix.engine.assemble import EVALUATION_PIXELS, Given, assemble
from dmix.engine.distributed import World
from dmix.engine.parts import load_dataset, load_part
from dmix.engine.seeding import derive
from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from project import ROOT

CPU = torch.device("cpu")
GRID = load_grid("smoke", ROOT / "params.yaml")
STREAMED = GRID.runs["supervised/imagenet/resnet50/mixup/mce/s0"]
RESIDENT = GRID.runs["supervised/tiny_imagenet/resnet18/vanilla/ce/s0"]
SHARED = replace(
    RESIDENT, settings={**RESIDENT.settings, "recipe": {**RESIDENT.settings["recipe"], "shards": 2}}
)
STARTED = GRID.runs["supervised/cub/resnet18/automix/mce/s0"]
SPLITS = {"imagenet": (400, 100), "tiny_imagenet": (500, 200)}


@pytest.fixture
def data(embedded_data):
    return lambda spec: load_dataset(spec, embedded_data)


@pytest.fixture
def part_of(monkeypatch):
    """Assembles a run as one process of several would, which have nothing to tell each other until a step."""

    def assembled(spec, dataset, world):
        monkeypatch.setattr("dmix.engine.distributed._here", world)
        return assemble(spec, dataset, CPU)

    return assembled


def with_settings(spec, section, **settings):
    """The run with other settings, which starts from no other run."""
    changed = {**spec.settings, section: {**spec.settings[section], **settings}}
    return replace(spec, settings=changed, source=None)


def assert_equal(one, other):
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("spec", [STREAMED, SHARED], ids=["streamed", "resident"])
def test_two_processes_share_every_batch(spec, data, part_of, monkeypatch):
    side = spec.settings["view"].get("size") or spec.settings["dataset"]["image_size"]
    monkeypatch.setattr(assembling, "EVALUATION_PIXELS", 7 * side**2 + 5)
    dataset = data(spec)
    alone = part_of(spec, dataset, World(0, 1))
    first, second = (part_of(spec, dataset, World(rank, 2)) for rank in (0, 1))
    kinds = {(type(one.loader), type(one.test)) for one in (alone, first, second)}
    expected = (StreamLoader, StreamEvaluation) if spec is STREAMED else (ResidentLoader, EvaluationSet)
    assert kinds == {expected}

    trained, read = SPLITS[spec.axes["dataset"]]
    size = spec.settings["recipe"]["batch_size"]
    steps = trained // size
    assert [one.total for one in (alone, first, second)] == [2 * steps] * 3
    for step in (0, steps):  # of each epoch, the first
        whole, *halves = (one.loader.batch(step) for one in (alone, first, second))
        assert [len(half.labels) for half in halves] == [size // 2] * 2
        for field in ("images", "labels", "index"):
            assert torch.equal(torch.cat([getattr(half, field) for half in halves]), getattr(whole, field))

    whole, firsts, seconds = (list(one.test) for one in (alone, first, second))
    assert [len(labels) for _, labels in whole] == [7] * (read // 7) + [read % 7]
    for place, batch in enumerate(whole):
        assert_equal((seconds if place % 2 else firsts)[place // 2], batch)
    assert len(firsts) + len(seconds) == len(whole)
    assert_equal(
        [torch.cat([labels for _, labels in whole])], [torch.from_numpy(dataset.splits["test"].labels)]
    )


def test_other_numbers_of_processes_are_refused(data, part_of):
    dataset = data(STREAMED)
    assert STREAMED.settings["recipe"]["shards"] == 4
    with pytest.raises(DmixError, match="8 processes cannot share a batch of 4 shards"):
        part_of(STREAMED, dataset, World(0, 8))
    with pytest.raises(DmixError, match="2 processes cannot share a batch of 1 shards"):
        part_of(RESIDENT, data(RESIDENT), World(0, 2))


RSB = "supervised/imagenet/resnet50/{}/mbce_one/s0"


@pytest.mark.parametrize("policy", ["rsb", "puzzlemix", "automix", "samix"])
def test_every_batch_norm_of_rsb_a3_has_the_statistics_of_all_processes(policy, data):
    """Of the network and its momentum copy; a mixer's are of its process. Nothing else of the run changes."""
    spec = GRID.runs[RSB.format(policy)]
    task = assemble(spec, data(spec), CPU).method
    plain = assemble(with_settings(spec, "recipe", sync_batchnorm=False), data(spec), CPU).method
    norms = {n: type(one) for n, one in task.named_modules() if isinstance(one, torch.nn.BatchNorm2d)}
    assert norms.keys() == {n for n, one in plain.named_modules() if type(one) is torch.nn.BatchNorm2d}
    assert {n for n, kind in norms.items() if kind is not SyncBatchNorm2d} == (
        {"policy.mixer.value.1"} if policy == "samix" else set()
    )
    assert task.state_dict().keys() == plain.state_dict().keys()
    assert_equal(task.state_dict().values(), plain.state_dict().values())
    assert [name for name, _ in task.named_parameters()] == [name for name, _ in plain.named_parameters()]


def test_batch_norms_of_other_recipes_are_torchs(data):
    for spec in (STREAMED, RESIDENT):
        task = assemble(spec, data(spec), CPU).method
        assert not any(isinstance(one, SyncBatchNorm2d) for one in task.modules())


@pytest.mark.parametrize(
    ("side", "size"), [(16, 4000), (32, 1000), (64, 250), (160, 40), (224, 20), (1012, 1), (4096, 1)]
)
def test_test_images_are_read_in_batches_of_about_as_many_pixels(side, size, data, monkeypatch):
    """The side is the view's where it has one, else the data set's."""
    sizes = []
    real = feed.evaluation
    monkeypatch.setattr(
        feed, "evaluation", lambda *given, **how: sizes.append(how["batch_size"]) or real(*given, **how)
    )
    streamed = with_settings(STREAMED, "view", size=side, shorter_side=side)
    assert "image_size" not in streamed.settings["dataset"]
    assemble(streamed, data(STREAMED), CPU)
    resident = with_settings(RESIDENT, "dataset", image_size=side)
    assert "size" not in resident.settings["view"]
    assemble(resident, data(RESIDENT), CPU)
    assert sizes == [size, size]
    assert size == 1 or EVALUATION_PIXELS - side**2 < size * side**2 <= EVALUATION_PIXELS


def body_and_classifier(model):
    """The tensors that weights fill and the head, by name."""
    values = model.state_dict()
    return (
        {name: value for name, value in values.items() if not name.startswith("head.")},
        {name: value for name, value in values.items() if name.startswith("head.")},
    )


def drawn(spec, *, classifier):
    """The run's network as its seed draws it, and where wanted its classifier anew."""
    torch.manual_seed(derive(spec.seed, "init"))
    model = load_part("backbone", spec.settings["backbone"], 20)
    if classifier:
        pretrained.fresh_classifier(model)
    return body_and_classifier(model)


def other_network():
    torch.manual_seed(5)
    model = load_part("backbone", STARTED.settings["backbone"], 1000)
    for number, value in enumerate(model.state_dict().values()):
        value += number  # running statistics and counters too are not those of a new network
    return model


def torchvision_file(model, folder):
    body, _ = body_and_classifier(model)
    values = {model.published_name(name): value for name, value in body.items()}
    torch.save({**values, "fc.weight": torch.zeros(1000, 16), "fc.bias": torch.zeros(1000)}, folder / "w")
    digest = hashlib.sha256((folder / "w").read_bytes()).hexdigest()[:8]
    return (folder / "w").rename(folder / f"small-{digest}.pth")


def run_file(model, folder):
    values = {f"model.{name}": value for name, value in model.state_dict().items()}
    safetensors.torch.save_file(
        {**values, "policy.mixer.bias": torch.zeros(3)}, folder / "weights.safetensors"
    )
    return folder / "weights.safetensors"


def test_a_random_start_is_the_seeds(data):
    spec = with_settings(STARTED, "recipe", init="random")
    found = body_and_classifier(assemble(spec, data(spec), CPU).method.model)
    for one, other in zip(found, drawn(spec, classifier=False), strict=True):
        assert one.keys() == other.keys()
        assert_equal(one.values(), other.values())


@pytest.mark.parametrize("write", [torchvision_file, run_file])
def test_a_run_starts_from_the_body_in_the_file_with_a_classifier_of_its_own(write, data, tmp_path):
    spec = STARTED if write is run_file else with_settings(STARTED, "recipe", init="weights/small.pth")
    other = other_network()
    task = assemble(spec, data(spec), CPU, given=Given(write(other, tmp_path))).method
    found, classifier = body_and_classifier(task.model)
    expected, _ = body_and_classifier(other)
    assert found.keys() == expected.keys()
    assert_equal(found.values(), expected.values())
    _, own = drawn(spec, classifier=True)
    assert_equal(classifier.values(), own.values())
    # What a policy copies from the network, it copies after that.
    copied, _ = body_and_classifier(task.policy.momentum_model)
    assert copied.keys() == expected.keys()
    assert_equal(copied.values(), expected.values())


def test_which_kind_of_file_depends_on_the_run_alone(data, tmp_path):
    other = other_network()
    spec = with_settings(STARTED, "recipe", init="weights/small.pth")
    with pytest.raises(DmixError, match=r"weights\.safetensors cannot be checked"):
        assemble(spec, data(spec), CPU, given=Given(run_file(other, tmp_path)))
    with pytest.raises(DmixError, match="is damaged, or no file of weights"):
        assemble(STARTED, data(STARTED), CPU, given=Given(torchvision_file(other, tmp_path)))
