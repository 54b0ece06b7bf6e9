"""`dmix claims` prints every claim, with and without records, at 100 columns; its files and JSON have all."""

import argparse
import csv
import json

import pytest

from dmix.arguments import parser
from dmix.claims.verdict import WORDS
from dmix.errors import DmixError
from dmix.verbs import claims as verb
from fabricated import everything_present, fabricate
from project import ROOT, real_grid


@pytest.fixture(scope="module", params=["embedded", "smoke"])
def place(request, tmp_path_factory):
    """A folder of a tier: without records first; `fill` fabricates them."""
    folder = tmp_path_factory.mktemp(request.param)
    for name in ("params.yaml", "params", "reference", "tests"):
        (folder / name).symlink_to(ROOT / name)
    return request.param, folder


def claims(place, monkeypatch, capsys, *arguments):
    """Run `dmix claims`; return what it prints. The grid is the tests' own, in which nothing is blocked."""
    tier, folder = place
    monkeypatch.chdir(folder)
    monkeypatch.setattr(verb, "load_grid", lambda name, **_: everything_present(real_grid(name)))
    options = parser().parse_args(["claims", "--tier", tier, *arguments])
    assert isinstance(options, argparse.Namespace)
    assert verb.run(options) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("records", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_all_claims_are_printed(place, monkeypatch, capsys, records):
    tier, folder = place
    if records:
        fabricate(everything_present(real_grid(tier)), folder / f"results/{tier}/records")
    shown = claims(place, monkeypatch, capsys)
    found = json.loads(claims(place, monkeypatch, capsys, "--json"))["claims"]
    assert len(found) > 50
    assert all(len(line) <= 100 for line in shown.splitlines())
    assert all(entry["claim"]["id"] in shown for entry in found)
    assert {entry["word"] for entry in found} <= set(WORDS)
    # At these scales a claim of the paper's tables is not run, whatever the records say.
    assert {entry["word"] for entry in found if entry["claim"]["kind"] == "range"} == {"not run"}
    assert any(entry["effect"] is not None for entry in found) == records


def test_one_claim_has_all_that_is_known(place, monkeypatch, capsys):
    shown = claims(place, monkeypatch, capsys, "dm-improves-small-scale")
    for label in ("Result", "Cells", "Contradicted if", "Published", "Confounders", "At one alpha"):
        assert f"  {label}: " in shown
    with pytest.raises(DmixError, match="did you mean dm-improves-small-scale"):
        claims(place, monkeypatch, capsys, "dm-improves-small-scal")


def test_the_files_have_every_claim(place, monkeypatch, capsys):
    folder = place[1]
    written = claims(place, monkeypatch, capsys, "--out", "out").split()
    assert [path.rpartition(".")[2] for path in written] == ["csv", "md", "tex"]
    rows = list(csv.DictReader((folder / "out/claims.csv").read_text().splitlines()))
    assert len(rows) == len(json.loads(claims(place, monkeypatch, capsys, "--json"))["claims"])
    for suffix in ("md", "tex"):
        text = (folder / f"out/claims.{suffix}").read_text()
        assert text.count("DM") > 20
        assert all(word in text.lower() for word in ("supported", "not run"))
