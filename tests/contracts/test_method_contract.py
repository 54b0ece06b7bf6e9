"""What every method and every add-on must keep to, in the first run that uses it, on a few images."""

from __future__ import annotations

import dataclasses
import io

import pytest
import safetensors.torch
import torch
from torch import Tensor

from dmix.engine.assemble import Given, assemble
from dmix.engine.method import Step
from dmix.engine.parts import load_part
from every_part import first_runs, uses
from small_sets import dataset_of
from values import allow_meta, kept, same

CPU = torch.device("cpu")
SOURCES = 6


def of(section):
    for use in uses(section):
        if use in first_runs(section):
            yield pytest.param(first_runs(section)[use][0], id=f"{section} {use}")
        else:
            reason = f"no smoke run uses {use}, so there is no data set to try it with"
            yield pytest.param(None, id=f"{section} {use}", marks=pytest.mark.skip(reason))


METHODS, ADDONS = list(of("method")), list(of("addon"))


@pytest.fixture
def make(request, tmp_path):
    """Make the trainer of the run, always with the same random numbers."""

    def made(seed=0):
        spec = dataclasses.replace(request.param, seed=seed)
        with torch.random.fork_rng():
            trainer = assemble(spec, dataset_of(spec), CPU, given=given(spec, tmp_path))
        trainer.method.train()
        return trainer

    made.spec = request.param
    return made


def given(spec, folder):
    """Weights and class relation, where the run has any."""
    weights, relation = folder / "weights.safetensors", folder / "relationship.safetensors"
    torch.manual_seed(0)
    source = load_part("backbone", spec.settings["backbone"], SOURCES)
    safetensors.torch.save_file(
        {f"model.{k}": v.contiguous() for k, v in source.state_dict().items()}, weights
    )
    classes = spec.settings["dataset"]["classes"]
    matrix = torch.rand(classes, SOURCES, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    safetensors.torch.save_file({"relationship": matrix / matrix.sum(1, keepdim=True)}, relation)
    return Given(
        weights if spec.source is not None else None, relation if spec.settings["relation"] else None
    )


def batch_parts(value):
    """All tensors of a batch, of whatever kind the method's loader gives."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, tuple | list):
        return [tensor for item in value for tensor in batch_parts(item)]
    if dataclasses.is_dataclass(value):
        return batch_parts([getattr(value, field.name) for field in dataclasses.fields(value)])
    return []


def moved(value, device):
    """The batch on another device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, tuple | list):
        items = [moved(item, device) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if dataclasses.is_dataclass(value):
        fields = {
            field.name: moved(getattr(value, field.name), device) for field in dataclasses.fields(value)
        }
        return dataclasses.replace(value, **fields)
    return value


def step_of(trainer, number=2):
    return Step(number, trainer.total, trainer.draws)


@pytest.mark.parametrize("make", [*METHODS, *ADDONS], indirect=True)
def test_losses_are_named_finite_scalars_and_leave_the_batch_alone(make):
    trainer = make()
    batch = trainer.loader.batch(0)
    before = kept(batch_parts(batch))
    assert before
    losses = trainer.method.losses(batch, step_of(trainer))
    assert same(batch_parts(batch), before)
    assert losses
    for name, loss in losses.items():
        assert loss.shape == (), name
        assert loss.isfinite(), name
    sum(losses.values()).backward()
    assert any(p.grad is not None for p in trainer.method.parameters())


@pytest.mark.parametrize("make", [*METHODS, *ADDONS], indirect=True)
def test_every_trainable_parameter_is_in_one_group(make):
    method = make().method
    groups = method.parameter_groups()
    found = sorted(id(parameter) for group in groups for parameter in group.parameters)
    assert found == sorted(id(parameter) for parameter in method.parameters() if parameter.requires_grad)
    assert groups[0].settings == {}


@pytest.mark.parametrize("make", [*METHODS, *ADDONS], indirect=True)
def test_predictions_are_logits(make):
    trainer = make()
    method = trainer.method.eval()
    images = next(one for one in batch_parts(trainer.loader.batch(0)) if one.dim() == 4)
    before, state = images.clone(), kept(method.state_dict())
    with torch.no_grad():
        found = method.predict(images)
    assert found
    for logits in found.values():
        assert logits.shape == (len(images), make.spec.settings["dataset"]["classes"])
        assert logits.isfinite().all()
    assert torch.equal(images, before)
    assert same(method.state_dict(), state)


@pytest.mark.parametrize("make", [*METHODS, *ADDONS], indirect=True)
def test_stopped_and_continued_it_ends_bit_identical(make):
    def steps(trainer, end):
        while trainer.step < end:
            trainer.train_step()

    one, other = make(), make()
    start = kept(one.method.state_dict())
    steps(one, 2)
    assert not same(one.method.state_dict(), start)
    file = io.BytesIO()
    torch.save(one.state_dict(), file)
    steps(one, 4)
    other.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    steps(other, 4)
    assert same(other.method.state_dict(), one.method.state_dict())
    assert same(other.optimizer.state_dict(), one.optimizer.state_dict())


@pytest.mark.parametrize("make", [*METHODS, *ADDONS], indirect=True)
def test_no_value_is_read_back_from_the_device(make, monkeypatch):
    trainer = make()
    batch = moved(trainer.loader.batch(0), "meta")
    allow_meta(monkeypatch)
    method, step = trainer.method.to("meta"), step_of(trainer)
    sum(method.losses(batch, step).values()).backward()
    method.after_step(step)


# Add-ons --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", ADDONS, indirect=True)
def test_mixed_batches_of_an_addon_are_as_the_contract_says(make):
    trainer = make()
    batch, step = trainer.loader.batch(0), step_of(trainer)
    before = kept(batch_parts(batch))
    mixed = trainer.method.mixed(batch, step)
    assert same(batch_parts(batch), before)
    labelled = batch.labelled
    assert torch.equal(mixed.y, labelled.labels)
    assert torch.equal(mixed.partner.sort().values, mixed.y.sort().values)
    sizes = [len(labelled.labels)]
    if trainer.method.addon.unlabelled:
        sizes.append(min(sizes[0], len(batch.unlabelled.index)))
    assert [len(images) for images in mixed.images] == sizes
    for images, lam in zip(mixed.images, (mixed.lam, mixed.share), strict=False):
        assert images.shape[1:] == labelled.images[0].shape[1:]
        assert images.dtype == labelled.images[0].dtype
        assert lam.shape == (len(images),)
        assert lam.dtype == torch.float32
        assert ((lam >= 0) & (lam <= 1)).all()
