"""Results of an earlier dmix, with weights beside records, are moved at the next start and lose nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dmix import cli
from dmix.files import CannotWrite
from dmix.grid import earlier
from dmix.grid.earlier import move_earlier
from dmix.grid.expand import load_grid
from dmix.grid.survey import survey
from fabricated import fabricate
from project import ROOT, small_params

RESULTS = Path("results/smoke")


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Lay a tier as the earlier dmix had it; return path today -> content."""
    (tmp_path / "params.yaml").write_text(small_params())
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    grid = load_grid("smoke")
    fabricate(grid, RESULTS / "records")
    for name in ("relation.json", "relationship.safetensors"):
        lay(RESULTS / "records/relation/cub/resnet18/s0-00000000-11111111" / name)
    for kind in ("mixed", "confidence"):
        lay(RESULTS / f"records/{kind}/{grid.places[next(iter(grid.places))]}-00000000/{kind}.json")
    today = files()
    shutil.move(RESULTS / "records/relation", RESULTS / "relations/relation")
    for kind in ("mixed", "confidence"):
        shutil.move(RESULTS / "records" / kind, RESULTS / kind)
    shutil.move(RESULTS / "records", RESULTS / "runs")
    for path in list((RESULTS / "weights").rglob("*.safetensors")):
        path.rename(RESULTS / "runs" / path.relative_to(RESULTS / "weights"))
    shutil.rmtree(RESULTS / "weights")
    return today


def lay(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(path))


def files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in RESULTS.rglob("*") if path.is_file()}


def test_any_command_moves_them_and_says_so_once(old, capsys):
    assert cli.main(["runs", "--tier", "smoke", "--state", "done"]) == 0
    said = capsys.readouterr()
    assert set(said.out.split()) == set(load_grid("smoke").places)
    runs = len(load_grid("smoke").places)
    assert said.err == (
        f"dmix: {runs} runs of an earlier dmix are moved from results/smoke/runs to results/smoke/records "
        "and results/smoke/weights\n"
    )
    assert {path: content for path, content in files().items() if path in old} == old
    assert {path.name for path in RESULTS.iterdir() if path.is_dir()} == {"records", "weights"}
    assert cli.main(["runs", "--tier", "smoke", "--state", "done"]) == 0
    assert capsys.readouterr().err == ""


def test_a_kill_in_between_leaves_no_record_without_its_weights(old, monkeypatch):
    """After every number of moves: no run is damaged or lacks weights, and the next start goes on."""
    grid = load_grid("smoke")
    start, total = files(), len(old)
    rename = earlier._move
    for most in range(0, total, 5):
        shutil.rmtree(RESULTS)
        for path, content in start.items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_bytes(content)
        left = [most]

        def killed(path: Path, target: Path, left: list[int] = left) -> None:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            rename(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(earlier, "_move", killed)
            with pytest.raises(KeyboardInterrupt):
                move_earlier("smoke", print)
        for name, place in grid.places.items():
            if (RESULTS / "records" / place / "record.json").exists():
                assert (RESULTS / "weights" / place / "weights.safetensors").exists(), (most, name)
        move_earlier("smoke", print)
        assert files() == old
        assert {status.state for status in survey(grid, grid.places).statuses.values()} == {"done"}
        os.remove(RESULTS / "finished.json") if (RESULTS / "finished.json").exists() else None


def test_what_is_there_already_stays_in_both_places(old, capsys):
    record = next(path for path in old if path.endswith("record.json"))
    Path(record).parent.mkdir(parents=True)
    Path(record).write_text("mine")
    move_earlier("smoke", print)
    assert files() == {**old, record: b"mine", record.replace("/records/", "/runs/"): old[record]}
    assert "what was there already stays in results/smoke/runs" in capsys.readouterr().out


def test_a_disk_that_cannot_be_written_is_named(old, monkeypatch):
    def full(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(earlier, "_move", full)
    with pytest.raises(CannotWrite, match=r"cannot write results/smoke/.*: No space left on device"):
        move_earlier("smoke", print)
