"""Objectives taken apart by class are the objectives, and every other one says why it is not."""

from __future__ import annotations

import importlib

import pytest
import torch

from dmix import PACKAGE
from dmix.grid.parts import read_part
from dmix.objectives.decoupled import decoupled_terms
from paper import ENTRIES

SETTINGS = {
    "mce": ({}, {"label_smoothing": 0.1}),
    "dm_ce": ({"eta": 0.7}, {"eta": 0.7, "label_smoothing": 0.1}),
    "dm_ce_released": tuple(
        {"eta": 0.7, "mode": mode, "power": power}
        for mode in ("both", "less", "more")
        for power in (0.0, 0.5)
    ),
}


def parts():
    names = sorted(path.stem for path in (PACKAGE / "objectives").glob("*.py"))
    sources = {name: (PACKAGE / "objectives" / f"{name}.py").read_text() for name in names}
    return {name: read_part("objective", name) for name, text in sources.items() if "\n@part\n" in text}


def rows():
    drawn = torch.Generator().manual_seed(0)
    logits = torch.randn(40, 6, generator=drawn, dtype=torch.float64)
    y_a, y_b = (torch.randint(6, (40,), generator=drawn) for _ in range(2))
    return logits.requires_grad_(), y_a, y_b, torch.rand(40, generator=drawn, dtype=torch.float64)


@pytest.mark.parametrize(("name", "settings"), [(n, s) for n, many in SETTINGS.items() for s in many])
def test_the_terms_add_up_to_the_objective(name, settings):
    module = importlib.import_module(f"dmix.objectives.{name}")
    given = rows()
    whole = getattr(module, name)(*given, **settings)
    terms = module.class_terms(*given, **settings)
    found = terms.mixed.sum(1)
    if terms.decoupled is not None:
        found = found + terms.weight * terms.decoupled.sum(1)
    torch.testing.assert_close(found, whole, rtol=1e-12, atol=1e-12)
    gradients = [torch.autograd.grad(loss.sum(), given[0], retain_graph=True)[0] for loss in (found, whole)]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)


def test_columns_belong_to_their_classes():
    logits, y_a, y_b, lam = rows()
    log_p = logits.log_softmax(1)
    module = importlib.import_module("dmix.objectives.dm_ce")
    terms = module.class_terms(logits, y_a, y_b, lam, eta=0.3)
    of_a = [-share * row[label] for share, row, label in zip(lam, log_p, y_a, strict=True)]
    of_b = [-(1 - share) * row[label] for share, row, label in zip(lam, log_p, y_b, strict=True)]
    torch.testing.assert_close(terms.mixed, torch.stack([torch.stack(of_a), torch.stack(of_b)], 1))
    assert torch.equal(terms.decoupled, decoupled_terms(logits, y_a, y_b, lam))
    assert terms.weight == 0.3


def test_every_objective_of_the_paper_offers_its_terms_or_says_why_not_and_none_does_both():
    for name, part in parts().items():
        said = ("class_terms" in part.functions) + ("NO_CLASS_TERMS" in part.constants)
        assert said == 1 or (said == 0 and name not in ENTRIES["objective"]), name
