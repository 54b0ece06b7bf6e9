"""Every picture of README.md and docs/ has a command that draws it, and knows what it shows."""

from __future__ import annotations

import re
import runpy
from types import SimpleNamespace

import pytest

from paper import paper
from project import ROOT, real_grid

DOCS = SimpleNamespace(**runpy.run_path(str(ROOT / "docs/pictures.py")))
REFERENCE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)[^)]*\)|<img[^>]*\ssrc=\"([^\"]+)\"")


def referenced():
    """Return the file of every picture in the pages."""
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for names in REFERENCE.findall(page.read_text()):
            yield (page.parent / "".join(names)).resolve()


def test_every_picture_is_drawn_by_make_docs_and_referenced():
    files = {path for path in (ROOT / "docs/img").iterdir() if not path.name.startswith(".")}
    assert set(referenced()) == files == {ROOT / "docs/img" / name for name in DOCS.PICTURES}
    makefile = (ROOT / "Makefile").read_text()
    assert "\tpython docs/pictures.py\n" in makefile.partition("\ndocs:")[2].partition("\n\n")[0] + "\n"


@pytest.mark.parametrize("name", DOCS.PICTURES)
def test_a_picture_carries_the_digest_of_what_it_shows(name):
    """Whether that is today's is for `make docs` to say: new numbers need `make reproduce` first."""
    assert re.fullmatch(r"[0-9a-f]{8}", DOCS.stated(ROOT / "docs/img" / name))


def test_another_code_or_setting_of_a_run_makes_its_pictures_stale(monkeypatch):
    grid = paper("embedded")
    before = {name: picture.digest(grid) for name, picture in DOCS.PICTURES.items()}
    run = "supervised/cifar100/resnet18/cutmix/dm_ce/s0"
    monkeypatch.setitem(vars(grid), "folders", {**grid.folders, run: f"{run}-00000000-00000000"})
    shown = {name: picture for name, picture in DOCS.PICTURES.items() if run in picture.runs(grid)}
    assert {"tables.png", "mixups.png", "page.png", "document.png"} <= shown.keys()
    for name, picture in DOCS.PICTURES.items():
        assert (picture.digest(grid) != before[name]) == (name in shown)


def test_a_stale_picture_without_results_is_left_and_said(tmp_path, monkeypatch, capsys):
    main = DOCS.PICTURES and DOCS.main
    monkeypatch.chdir(ROOT)
    scope = main.__globals__
    monkeypatch.setitem(scope, "FOLDER", tmp_path)
    monkeypatch.setitem(scope, "records_folder", lambda tier: tmp_path)
    monkeypatch.setitem(scope, "load_grid", real_grid)
    assert main() == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "is stale, and" in line and "are not trained" in line] == lines[::2]
    assert list(tmp_path.iterdir()) == []
