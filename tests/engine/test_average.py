"""The average of parameters: its arithmetic, what it leaves out, and that it comes and goes without trace."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dmix.engine.average import Average
from dmix.job import checkpoint
from small_runs import CPU, differences, values, with_norms

GOLDEN = {1: 1.998, 100: 1.8095842942274178, 1000: 0.7353908495419275, 5000: 0.013442223919731176}


def scalar(value):
    module = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(module.weight, value)
    return module


def averaged(module, average):
    with average.in_place():
        return values(module)


def shake(module, seed):
    """Move parameters and buffers, as a training step does."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor += torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
            else:
                tensor += 1


def test_the_average_is_golden():
    module = scalar(2.0)
    average = Average(module, 0.999)
    nn.init.zeros_(module.weight)
    for step in range(1, 5001):
        average.update()
        if step in GOLDEN:
            assert averaged(module, average)["weight"].item() == pytest.approx(GOLDEN[step], rel=1e-12)


def test_parameters_are_averaged_from_the_start_on_and_buffers_are_not():
    model = with_norms()
    average = Average(model, 0.75)
    parameters = {name for name, _ in model.named_parameters()}
    expected = {name: value.double() for name, value in values(model).items()}
    assert differences(values(model), averaged(model, average)) == []
    for seed in range(3):
        shake(model, seed)
        assert differences(averaged(model, average), values(model)) != []
        average.update()
        for name, value in values(model).items():
            kept = 0.75 if name in parameters else 0.0
            expected[name] = kept * expected[name] + (1 - kept) * value.double()
    found = averaged(model, average)
    assert set(average.state_dict()) == parameters < set(found)
    for name, value in found.items():
        if name in parameters:
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-6, atol=1e-6)
        else:
            assert torch.equal(value.double(), expected[name])


def test_what_is_not_trained_is_left_out():
    model = with_norms()
    model.stem.requires_grad_(False)
    average = Average(model, 0.5)
    shake(model, 0)
    average.update()
    frozen = {f"stem.{name}" for name, _ in model.stem.named_parameters()}
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert frozen
    assert set(average.state_dict()) == trained
    assert {path[1:] for path in differences(values(model), averaged(model, average))} == trained


class Broken(Exception):
    pass


@pytest.mark.parametrize("broken", [False, True], ids=["left", "broken off"])
def test_the_trained_parameters_come_back_bit_for_bit_where_they_were(broken):
    model = with_norms()
    average = Average(model, 0.9)
    shake(model, 0)
    average.update()
    before = values(model)
    places = {name: (id(p), p.data_ptr()) for name, p in model.named_parameters()}
    try:
        with average.in_place():
            assert differences(before, values(model)) != []
            assert [id(p) for p in model.parameters()] == [one for one, _ in places.values()]
            if broken:
                raise Broken
    except Broken:
        pass
    assert differences(before, values(model)) == []
    assert {name: (id(p), p.data_ptr()) for name, p in model.named_parameters()} == places


def test_a_reading_changes_neither_averages_nor_what_is_trained_next():
    def trained(read):
        model = with_norms()
        average = Average(model, 0.9)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        generator = torch.Generator().manual_seed(0)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(6, 3, 8, 8, generator=generator)).square().mean().backward()
            optimizer.step()
            average.update()
            if read:
                with average.in_place(), torch.no_grad():
                    model.eval()(torch.ones(2, 3, 8, 8))
                model.train()
        return values(model), dict(average.state_dict())

    assert differences(trained(read=False), trained(read=True)) == []


def test_the_state_goes_round_through_a_file(tmp_path):
    model = with_norms()
    average = Average(model, 0.9)
    shake(model, 0)
    average.update()
    checkpoint.save(tmp_path / "checkpoint.pt", {"average": average.state_dict()})
    state = checkpoint.load(tmp_path / "checkpoint.pt", CPU)["average"]

    other = with_norms()
    continued = Average(other, 0.9)
    assert differences(average.state_dict(), continued.state_dict()) != []
    continued.load_state_dict(state)
    other.load_state_dict(model.state_dict())
    loaded = {name: value.clone() for name, value in state.items()}
    for one in (model, other):
        shake(one, 1)
    for one in (average, continued):
        one.update()
    assert differences(average.state_dict(), continued.state_dict()) == []
    assert differences(state, loaded) == []  # what is loaded is copied
