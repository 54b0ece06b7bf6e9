"""The PDF compiles at the shape of every tier without a warning, with its fonts, to the same bytes."""

import re
import shutil
import subprocess

import pytest

from dmix.errors import DmixError
from dmix.paper.typeset import first_error, latex_is_here, made_of, typeset
from project import ROOT, real_grid
from rendered import rendered

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not latex_is_here(), reason="LaTeX is not on this machine"),
]
SAID = re.compile(
    r"^(?:Overfull \\hbox.*|LaTeX.* Warning:.*|Package .* Warning:.*|Missing character.*)$", re.M
)
SLIGHT = re.compile(r"Overfull \\hbox \((?:0\.\d+|1\.0+)pt too wide\)")


def complaints(log):
    return [line for line in SAID.findall(log) if not SLIGHT.match(line)]


def fonts(pdf):
    """Type and whether it is embedded, of each font."""
    done = subprocess.run(["pdffonts", str(pdf)], capture_output=True, text=True, check=True)
    head, _, *lines = done.stdout.splitlines()
    kind, encoding, embedded = (head.index(word) for word in ("type", "encoding", "emb"))
    return [(line[kind:encoding].strip(), line[embedded : embedded + 3].strip()) for line in lines]


def text_of(pdf):
    done = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True, check=True)
    return done.stdout


def half(tier):
    """Every second run of a tier: gaps everywhere."""
    return list(real_grid(tier).places)[::2]


@pytest.fixture(scope="module")
def gappy(tmp_path_factory):
    return rendered("embedded", tmp_path_factory.mktemp("tier"), half("embedded"))


@pytest.fixture(scope="module")
def pdf(gappy, tmp_path_factory):
    target = tmp_path_factory.mktemp("pdf") / "paper.pdf"
    log = typeset(gappy.main(), gappy.folder, gappy.files, target, target.parent)
    assert complaints(log) == []
    return target


def test_fonts_are_embedded_and_none_is_a_bitmap(pdf):
    found = fonts(pdf)
    assert len(found) > 3
    assert {embedded for _, embedded in found} == {"yes"}
    assert not any(kind.startswith("Type 3") for kind, _ in found)


def test_captions_have_the_papers_numbers(pdf, gappy):
    text = text_of(pdf)
    for table in gappy.grid.tables.values():
        assert text.count(f"Table {table.number}:") >= 2, table.number
    for figure in gappy.grid.figures.values():
        assert f"Figure {figure.number}:" in text
    assert "??" not in text


def test_same_bytes_in_another_folder_and_of_another_state_others(pdf, gappy, tmp_path):
    shutil.copytree(gappy.folder, tmp_path / "elsewhere")
    again = tmp_path / "again.pdf"
    typeset(gappy.main(), tmp_path / "elsewhere", gappy.files, again, tmp_path)
    assert again.read_bytes() == pdf.read_bytes()
    stated = made_of(gappy.main(), gappy.folder, gappy.files)
    assert again.read_bytes().count(stated) == 1
    with open(tmp_path / "elsewhere/table1_beside.tex", "a") as stream:
        stream.write("% edited\n")
    assert made_of(gappy.main(), tmp_path / "elsewhere", gappy.files) != stated


def test_what_the_guide_shows_compiles(gappy, tmp_path):
    blocks = re.findall(r"```latex\n(.*?)```", (ROOT / "docs/paper.md").read_text(encoding="utf-8"), re.S)
    head, _, body = "".join(blocks).replace("show ...", "show.").partition("...\n")
    shutil.copytree(gappy.folder, tmp_path / "dmix")
    text = f"\\documentclass{{article}}\n{head}\\begin{{document}}\n{body}\\end{{document}}\n"
    assert text.count("\\input{dmix/") == 4
    (tmp_path / "mine.tex").write_text(text)
    command = ("latexmk", "-norc", "-silent", "-pdf", "-halt-on-error", "mine.tex")
    done = subprocess.run(command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    log = (tmp_path / "mine.log").read_text(errors="replace")
    assert done.returncode == 0, first_error(log)
    assert [line for line in complaints(log) if "undefined" in line] == []
    assert "Table 1:" in text_of(tmp_path / "mine.pdf")


def test_an_error_is_told_with_its_log_and_the_old_pdf_stays(gappy, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(gappy.folder, folder)
    (folder / "table2_beside.tex").write_text("\n\\nonsense\n")
    target = tmp_path / "paper.pdf"
    target.write_bytes(b"earlier")
    with pytest.raises(DmixError, match=r"table2_beside.tex:2: Undefined control sequence") as raised:
        typeset(gappy.main(), folder, gappy.files, target, tmp_path / "work")
    assert target.read_bytes() == b"earlier"
    assert str(tmp_path / "work/main.log") in str(raised.value)
    assert "nonsense" in (tmp_path / "work/main.log").read_text(errors="replace")
    assert (tmp_path / "work/main.tex").read_text().endswith("\\end{document}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "paper.pdf", "work"]


def test_the_first_error_of_a_log():
    assert first_error("a\n./t.tex:3: Bad.\nl.3\n./t.tex:4: Worse.\n") == "./t.tex:3: Bad."
    assert first_error("This is pdfTeX\n! Emergency stop.\n") == "! Emergency stop."
    assert first_error("This is pdfTeX\n") == ""


@pytest.mark.parametrize("tier", ["embedded", "smoke", "full"])
def test_every_tier_compiles_without_a_warning_and_with_ten_records_less(tier, tmp_path):
    there = rendered(tier, tmp_path)
    whole = typeset(there.main(), there.folder, there.files, tmp_path / "whole.pdf", tmp_path)
    assert complaints(whole) == []
    assert len(there.delete_records(10)) == 10
    there.tables()
    less = typeset(there.main(), there.folder, there.files, tmp_path / "less.pdf", tmp_path)
    assert complaints(less) == []
    assert "10 not trained yet" in " ".join(text_of(tmp_path / "less.pdf").split())
