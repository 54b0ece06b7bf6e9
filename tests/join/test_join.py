"""What joining takes is whole and verified, and what is here is never overwritten."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dmix import cli
from dmix.class_relation_record import Relation
from dmix.errors import DmixError
from dmix.files import sha256
from dmix.grid.evaluation import leaf_of
from dmix.grid.expand import Grid, folder, load_grid
from dmix.grid.paths import RunPaths
from dmix.holder import me
from dmix.join.join import join
from dmix.join.others import take_relation
from dmix.join.outcome import Options
from dmix.join.source import opened
from dmix.lock import held
from dmix.reading import SEAL, seal
from dmix.record import Hardware
from fabricated import WEIGHT_BYTES, fabricate, invented_score
from project import ROOT, small_params

SMOKE = Path("results/smoke")


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    """A checkout in which half of the runs are finished; ../there has them all."""
    here, there = tmp_path / "here", tmp_path / "there"
    for path in (here, there):
        path.mkdir()
        (path / "params.yaml").write_text(small_params())
        (path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(here)
    found = load_grid("smoke")
    names = tuple(found.places)
    fabricate(found, there / SMOKE / "records")
    fabricate(found, here / SMOKE / "records", names[::2])
    return found


THERE = Path("../there")


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def results(root: Path = Path()) -> dict[str, bytes]:
    """Return the content of records and weights."""
    return {
        f"{kind}/{path}": content
        for kind in ("records", "weights")
        for path, content in files(root / SMOKE / kind).items()
    }


def dmix_join(*arguments: str) -> int:
    return cli.main(["join", "--tier", "smoke", *arguments])


def theirs(grid: Grid, name: str) -> tuple[Path, Path]:
    """Return the folder of a run's record and its weights, in ../there."""
    paths = RunPaths("smoke", grid.places[name])
    return THERE / paths.results, THERE / paths.weights


def lacking(grid: Grid) -> tuple[str, ...]:
    return tuple(grid.places)[1::2]


def test_what_lacks_is_taken_with_every_byte_and_the_rest_is_compared(grid, capsys):
    assert dmix_join("../there") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        *(f"took {name}" for name in lacking(grid)),
        f"../there: {len(lacking(grid))} taken, {len(grid.places) - len(lacking(grid))} here before",
    ]
    assert results() == results(THERE)
    assert dmix_join("../there") == 0
    assert capsys.readouterr().out == f"../there: {len(grid.places)} here before\n"
    assert cli.main(["plan", "--check", "--tier", "smoke"]) == 0


def test_a_dry_run_verifies_and_writes_nothing(grid, capsys):
    before = results()
    _, weights = theirs(grid, lacking(grid)[0])
    weights.write_bytes(b"cut")
    assert dmix_join("../there", "--dry-run") == 1
    said = capsys.readouterr().out
    assert f"would take {lacking(grid)[1]}" in said
    assert f"refused {lacking(grid)[0]}: weights.safetensors was cut or edited" in said
    assert results() == before
    assert not list(Path("work").rglob("lock"))


def edit_record(path: Path, seal_again: bool = False, **changes: object) -> None:
    record = json.loads((path / "record.json").read_text()) | changes
    if seal_again:
        record[SEAL] = seal(record)
    (path / "record.json").write_text(json.dumps(record))


FAULTS: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "a flipped bit of the weights": (
        lambda record, weights: weights.write_bytes(b"jnvented weights"),
        "weights.safetensors was cut or edited",
    ),
    "cut weights": (
        lambda record, weights: weights.write_bytes(b""),
        "weights.safetensors was cut or edited",
    ),
    "another history": (
        lambda record, weights: (record / "history.csv").write_text("epoch\n"),
        "history.csv was cut or edited",
    ),
    "no history": (lambda record, weights: (record / "history.csv").unlink(), "history.csv cannot be read"),
    "a cut record": (
        lambda record, weights: os.truncate(record / "record.json", 99),
        "the record record.json is not valid",
    ),
    "an edited score": (
        lambda record, weights: edit_record(record, score=99.0),
        "the record record.json is not valid",
    ),
    "a sealed record of other settings": (
        lambda record, weights: edit_record(record, True, spec={"policy": {}}),
        "spec.",
    ),
    "a sealed record of other code": (
        lambda record, weights: edit_record(record, True, code_digest="00000000"),
        "code_digest is 00000000, the grid's is ",
    ),
    "another run's": (
        lambda record, weights: edit_record(record, True, seed=7),
        "seed is 7, the grid's is ",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_whose_files_are_not_those_of_its_record_is_refused_by_name(grid, capsys, fault):
    name, (make, problem) = lacking(grid)[0], FAULTS[fault]
    make(*theirs(grid, name))
    assert dmix_join("../there") == 1
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if line.startswith("refused ")]
    assert line.startswith(f"refused {name}: {problem}")
    paths = RunPaths("smoke", grid.places[name])
    assert not paths.record.exists()
    assert not paths.weights.exists()
    taken, before = len(lacking(grid)) - 1, len(grid.places) - len(lacking(grid))
    assert said.endswith(f"../there: {taken} taken, {before} here before, 1 refused\n")
    assert not list(Path().rglob("*.part"))


def test_another_outcome_is_told_with_both_sides_and_ours_stays(grid, capsys):
    name = next(iter(grid.places))
    fabricate(grid, THERE / SMOKE / "records", [name], score=lambda spec: 12.5)
    before = results()
    assert dmix_join("../there", "--no-weights") == 1
    said = capsys.readouterr().out
    ours = f"{invented_score(grid.runs[name]):.2f}"
    assert f"differs {name}: other history and scores: here {ours} %, weights " in said
    assert "; there 12.50 %, weights " in said
    assert said.count(hashlib.sha256(WEIGHT_BYTES).hexdigest()[:12]) == 2
    assert {path: content for path, content in results().items() if path in before} == before


def test_records_alone_then_weights_of_what_is_here(grid, capsys):
    assert dmix_join("../there", "--no-weights") == 0
    assert not any((SMOKE / "weights" / grid.places[name]).exists() for name in lacking(grid))
    capsys.readouterr()
    assert dmix_join("../there") == 0
    assert f"{len(lacking(grid))} got weights" in capsys.readouterr().out
    assert results() == results(THERE)


def test_a_run_that_is_damaged_here_is_told_and_left(grid, capsys):
    name = next(iter(grid.places))
    RunPaths("smoke", grid.places[name]).weights.write_bytes(b"cut")
    assert dmix_join("../there") == 1
    assert f"refused {name}: it is damaged here: weights.safetensors" in capsys.readouterr().out


def test_a_run_that_is_trained_here_is_not_taken(grid, capsys):
    name = lacking(grid)[0]
    with held(RunPaths("smoke", grid.places[name]).lock, print):
        assert dmix_join("../there") == 1
    assert f"refused {name}: {me()} is training it here" in capsys.readouterr().out
    assert not RunPaths("smoke", grid.places[name]).record.exists()


def test_runs_of_other_settings_are_left(grid, capsys):
    static = "static: {objective.eta: 0.1, policy.alpha: 0.2}"
    params = Path("params.yaml")
    params.write_text(params.read_text().replace(static, static.replace("0.1", "0.3")))
    assert dmix_join("../there") == 0
    other = sum("/dm_ce/" in name for name in grid.places)
    assert f"left {other} runs of other settings or code than this checkout's: " in capsys.readouterr().out


def as_bundle(place: Path) -> None:
    shutil.copytree(THERE / SMOKE, place)


def as_archive(place: Path) -> None:
    with tarfile.open(place, "w:gz") as tar:
        tar.add(THERE / SMOKE, "bundle")


def as_earlier(place: Path) -> None:
    """A checkout of an earlier dmix, with weights beside records."""
    shutil.copytree(THERE / SMOKE / "records", place / SMOKE / "runs")
    shutil.copytree(THERE / SMOKE / "weights", place / SMOKE / "runs", dirs_exist_ok=True)


@pytest.mark.parametrize("made", [as_bundle, as_archive, as_earlier])
def test_bundles_archives_and_earlier_checkouts_are_sources_too(grid, made):
    made(Path("../other"))
    assert dmix_join("../other") == 0
    assert results() == results(THERE)
    assert not list(Path("work/smoke").glob("join-*"))


def test_a_source_that_is_none_is_refused(grid, tmp_path, capsys):
    (tmp_path / "text").write_text("no archive")
    for name in ("../nothing", "../text"):
        assert dmix_join(name) != 0
        said = capsys.readouterr().err
        assert said.startswith("dmix: cannot read ../")
        assert "name a checkout with results" in said


def test_evaluations_come_with_the_run_whose_weights_they_are_of(grid):
    names = lacking(grid)[:3]
    for place, name in enumerate(names):
        record = json.loads((theirs(grid, name)[0] / "record.json").read_text())
        values = {"weights_sha256": record["weights_sha256"] if place < 2 else "0" * 64}
        values[SEAL] = seal(values) if place != 1 else "0" * 64
        path = THERE / SMOKE / "records" / leaf_of("mixed", grid.places[name]) / "mixed.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values))
    with opened("../there", "smoke") as source:
        found = join(grid, source, Options(), print)
    assert f"{names[0]} (mixed)" in found.taken
    assert set(found.refused) == {f"{name} (mixed)" for name in names[1:]}
    place = SMOKE / "records" / leaf_of("mixed", grid.places[names[0]]) / "mixed.json"
    assert place.read_bytes() == (THERE / place).read_bytes()


def test_a_class_relation_is_taken_with_its_matrix(grid, tmp_path):
    spec = next(iter(grid.runs.values()))  # any specification: its folder is all that counts
    there = THERE / SMOKE / "records" / folder(spec)
    there.mkdir(parents=True, exist_ok=True)
    matrix = there / "relationship.safetensors"
    matrix.write_bytes(b"matrix")
    name, spec_digest, code_digest = folder(spec).rsplit("-", 2)
    record = Relation(
        name=name,
        spec_digest=spec_digest,
        code_digest=code_digest,
        spec={},
        data_edition="embedded",
        data_fingerprint="f",
        labelled=3,
        labelled_sha256=None,
        estimator="direct",
        seconds=1.0,
        versions={},
        hardware=Hardware(device="cpu", threads=1, host_cpu="any", peak_memory_mb=1.0),
        matrix_sha256=sha256(matrix),
        init_sha256="0",
    )
    record.write(there / "relation.json")
    with opened("../there", "smoke") as source:
        assert take_relation(grid, source, spec, Options(dry_run=True)) == "taken"
        matrix.write_bytes(b"other!")
        with pytest.raises(DmixError, match="was cut or edited"):
            take_relation(grid, source, spec, Options())
        matrix.write_bytes(b"matrix")
        assert take_relation(grid, source, spec, Options()) == "taken"
        assert take_relation(grid, source, spec, Options()) == "there"
        here = SMOKE / "records" / folder(spec)
        assert (here / matrix.name).read_bytes() == b"matrix"
        assert (here / "relation.json").read_bytes() == (there / "relation.json").read_bytes()
        matrix.write_bytes(b"third")
        record.model_copy(update={"matrix_sha256": sha256(matrix)}).write(there / "relation.json")
        with pytest.raises(DmixError, match="another matrix: "):
            take_relation(grid, source, spec, Options())
