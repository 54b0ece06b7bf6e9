"""A bundle has everything of one state, by its hashes, and is refused of two."""

import csv
import hashlib
import os
import shutil
import subprocess
import tarfile

import pytest

from dmix import cli
from dmix.export import state
from dmix.export.bundle import pack, write_bundle
from dmix.grid.artefact import figure_digest
from dmix.page.digest import page_digest
from dmix.report.frame import load_frame, to_csv
from project import ROOT, real_grid
from rendered import narrowed, rendered

pytestmark = pytest.mark.slow

TIER = "embedded"
COPIED = (
    "params.yaml",
    "CITATION.cff",
    "LICENSE",
    "requirements.lock",
    "params",
    "reference",
    "docs",
    "tests",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A repository with a rendered tier of which `finished_names` are done."""
    root = tmp_path_factory.mktemp("repository")
    for name in COPIED:
        (root / name).symlink_to(ROOT / name)
    there = rendered(TIER, root, finished_names(), grid=narrowed(TIER, "table1", "table6"))
    frame = load_frame(there.grid, tuple(there.grid.runs), there.runs)
    (root / f"results/{TIER}/frame.csv").write_text(to_csv(frame))
    stamps = root / f"results/{TIER}/build/published"
    stamps.mkdir(parents=True)
    for name in there.grid.figures:
        (stamps / f"{name}-{figure_digest(there.grid, name)}").touch()
    (stamps / f"page-{page_digest(there.grid)}").touch()
    page = root / f"results/{TIER}/report/index.html"
    page.parent.mkdir()
    page.write_text("<!doctype html>")
    (there.folder / "main.tex").write_text(there.main(), encoding="utf-8")
    return there


def finished_names():
    """Return names of some runs of two tables."""
    return [name for table in ("table1", "table6") for name in grid_names(table)[:20]]


def grid_names(table):
    grid = real_grid(TIER)
    return grid.table_runs(grid.params.tables[table])


@pytest.fixture
def there(finished, tmp_path, monkeypatch):
    """A copy of the repository that a test may change, without LaTeX on the machine."""
    root = tmp_path / "repository"
    shutil.copytree(finished.folder.parents[1], root, symlinks=True)
    copy = type(finished)(finished.grid, root / f"results/{TIER}/records", root / f"paper_tables/{TIER}")
    monkeypatch.chdir(root)
    monkeypatch.setattr("dmix.verbs.export.load_grid", lambda tier, **_: finished.grid)
    monkeypatch.setattr(state, "latex_is_here", lambda: False)
    return copy


def export(*options):
    return cli.main(["export", "--tier", TIER, "--out", "out/bundle", *options])


def bundle(there):
    return there.runs.parents[2] / "out/bundle"


def test_a_bundle_is_whole_by_the_standard_tool(there, capsys):
    assert export() == 0
    folder = bundle(there)
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with open(folder / "manifest.csv", newline="") as stream:
        lines = list(csv.DictReader(stream))
    listed = {line["path"]: line for line in lines}
    on_disk = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert on_disk == {*listed, "manifest.csv", "SHA256SUMS"}
    for path, line in listed.items():
        content = (folder / path).read_bytes()
        assert (int(line["bytes"]), line["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    records = [path for path in listed if path.endswith("/record.json")]
    assert len(records) == len(finished_names())
    assert {path.rpartition("/")[0] + "/history.csv" for path in records} <= set(listed)
    assert {"frame.csv", "README.md", "CITATION.cff", "columns.md", "tables/table1_beside.tex"} <= set(listed)
    assert {"tables/main.tex", "tables/figure2_right.pdf", "parameters/params/grids.yaml"} <= set(listed)
    assert not any(path.startswith("weights/") for path in listed)
    said = capsys.readouterr().out
    assert "left out: paper.pdf: " in said
    assert f"{len(finished_names())} runs" in said
    assert "sha256sum -c" in said


def test_weights_by_choice(there):
    assert export("--weights") == 0
    assert len(list((bundle(there) / "weights").rglob("weights.safetensors"))) == len(finished_names())


def test_the_archive_has_the_folder_and_equal_bytes(there):
    assert export() == 0
    archive = bundle(there).with_name("bundle.tar.gz")
    first = archive.read_bytes()
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    files = [path for path in bundle(there).rglob("*") if path.is_file()]
    assert sorted(names) == sorted(f"bundle/{path.relative_to(bundle(there))}" for path in files)
    assert export() == 0  # in place of the earlier one, at another time
    assert archive.read_bytes() == first
    assert sorted(path.name for path in bundle(there).parent.iterdir()) == ["bundle", "bundle.tar.gz"]


@pytest.mark.parametrize("kind", ["frame", "table", "ledger", "main", "figure", "figure gone"])
def test_what_is_of_another_state_is_named(there, capsys, kind):
    root = there.runs.parents[2]
    product = {
        "frame": root / f"results/{TIER}/frame.csv",
        "table": there.folder / "table6_beside.txt",
        "ledger": there.folder / "ledger.tex",
        "main": there.folder / "main.tex",
        "figure gone": there.folder / "figure2_right.pdf",
        "figure": there.folder / "figure2_right.pdf",
    }[kind]
    if kind == "figure":
        next((root / f"results/{TIER}/build/published").glob("figure2_right-*")).unlink()
    elif kind == "figure gone":
        product.unlink()
    else:
        product.write_text(product.read_text() + "edited\n")
    assert export() == 1
    said = capsys.readouterr().err
    assert f"{product.relative_to(root)}" in said
    assert f"make reproduce TIER={TIER}" in said
    assert not (root / "out").exists()


def test_a_new_or_deleted_record_makes_what_shows_it_stale(there, capsys):
    (gone,) = there.delete_records(1)
    assert export() == 1
    said = capsys.readouterr().err
    assert "frame.csv" in said
    assert "main.tex" in said
    assert gone  # its table is among those named
    assert "paper_tables/embedded/table" in said


def test_a_record_younger_than_its_figure_makes_it_stale(there):
    grid, name = there.grid, "figure2_right"
    before = state.newest(grid, grid.figure_runs(grid.figures[name]))
    path = there.runs / grid.folders[grid_names("table1")[0]] / "record.json"
    os.utime(path, (before + 60, before + 60))
    assert state.newest(grid, grid_names("table1")) == before + 60
    path.unlink()
    assert before <= state.newest(grid, grid_names("table1")) != before + 60


def test_damaged_runs_are_left_out_and_named(there, capsys):
    """Everything was rendered since a history was cut, so all is of one state."""
    name = grid_names("table6")[0]
    folder = there.runs / there.grid.places[name]
    (folder / "history.csv").write_text("cut")
    there.tables()
    frame = load_frame(there.grid, tuple(there.grid.runs), there.runs)
    (there.runs.parent / "frame.csv").write_text(to_csv(frame))
    (there.folder / "main.tex").write_text(there.main(), encoding="utf-8")
    assert export() == 0
    assert f"left out: {name}: damaged: history.csv was cut or edited" in capsys.readouterr().out
    assert not (bundle(there) / "records" / there.grid.places[name]).exists()
    assert len(list((bundle(there) / "records").rglob("record.json"))) == len(finished_names()) - 1
    assert name in (bundle(there) / "README.md").read_text()


def test_a_folder_that_is_no_bundle_is_left_alone(there, capsys):
    bundle(there).mkdir(parents=True)
    (bundle(there) / "thesis.tex").write_text("mine")
    assert export() == 2
    assert "exists and is no bundle" in capsys.readouterr().err
    assert [path.name for path in bundle(there).parent.rglob("*")] == ["bundle", "thesis.tex"]


def test_a_disk_without_room_is_told_before(there, capsys, monkeypatch):
    usage = shutil.disk_usage(there.runs)._replace(free=1000)
    monkeypatch.setattr("dmix.verbs.export.shutil.disk_usage", lambda path: usage)
    assert export() == 1
    assert "need up to" in capsys.readouterr().err
    assert not bundle(there).exists()


def test_a_file_that_goes_while_it_is_copied_leaves_nothing(tmp_path):
    from dmix.errors import DmixError

    (tmp_path / "a").write_text("a")
    with pytest.raises(DmixError, match="cannot read"):
        write_bundle(tmp_path / "out/b", {"a": tmp_path / "a", "z": tmp_path / "gone"}, {})
    assert list((tmp_path / "out").iterdir()) == []


def test_the_next_bundle_removes_what_a_killed_one_left(tmp_path):
    (tmp_path / "a").write_text("a")
    left = [tmp_path / f"out/.b.{name}.part" for name in ("0123abcd", "4567abcd")]
    for draft in left:
        (draft / "records").mkdir(parents=True)
        (draft / "records/a").write_text("a")
    for path in (left[0], left[0] / "records", left[0] / "records/a"):
        os.utime(path, (1, 1))
    write_bundle(tmp_path / "out/b", {"a": tmp_path / "a"}, {})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".b.4567abcd.part", "b"]


def test_an_archive_does_not_depend_on_time_or_mode(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "b/c").mkdir(parents=True)
        (tmp_path / name / "b/c/d.txt").write_text("d")
    os.utime(tmp_path / "two/b/c/d.txt", (1, 1))
    (tmp_path / "two/b/c/d.txt").chmod(0o600)
    first = pack(tmp_path / "one/b").read_bytes()
    assert pack(tmp_path / "two/b").read_bytes() == first
